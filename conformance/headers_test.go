package conformance

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// headerVector is a case of authorization-header.json.
type headerVector struct {
	ID      string
	Headers [][2]string
	Method  string
	URL     string
	Body    string
	Via     string
	Status  int
	Error   string
	Why     string
	Ref     string
}

func readHeaders(t testing.TB) []headerVector {
	t.Helper()
	var file struct{ Cases []headerVector }
	readJSON(t, "authorization-header.json", &file)
	return file.Cases
}

// Each request goes over the wire as it is, unless HTTP cannot carry it.
func TestAuthorizationFieldsGetTheirAnswer(t *testing.T) {
	t.Parallel()
	d := readDecisions(t)
	vectors := readHeaders(t)
	over := map[string]int{}
	for _, v := range vectors {
		if v.Via == "" {
			v.Via = "wire"
		}
		over[v.Via]++
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			v.expand(d.HeaderEncodings[v.ID].Latin1)
			in := &issuer{}
			r := newRoute(t, oauthz.Config{Introspector: in})
			want := v.want(t, d)
			if v.Via == "direct" {
				want.check(t, r, r.serve(v.request()))
			} else {
				want.check(t, r, r.exchange(t, v.raw()))
			}
			assert.Equal(t, v.introspected(want), in.introspected())
		})
	}
	t.Logf("headers: %d cases %v, %d decided otherwise", len(vectors), over, len(d.Headers))
	require.Len(t, vectors, 58)
}

var repeated = regexp.MustCompile(`\{(.)\*(\d+)\}`)

// expand replaces {T} by the token, and {x*n} by n times x.
func (v *headerVector) expand(inLatin1 bool) {
	replace := func(s string) string {
		return repeated.ReplaceAllStringFunc(strings.ReplaceAll(s, "{T}", goodToken), func(m string) string {
			n, _ := strconv.Atoi(m[3 : len(m)-1])
			return strings.Repeat(m[1:2], n)
		})
	}
	for i := range v.Headers {
		v.Headers[i][1] = replace(v.Headers[i][1])
		if inLatin1 {
			v.Headers[i][1] = latin1(v.Headers[i][1])
		}
	}
	v.URL, v.Body = replace(v.URL), replace(v.Body)
	if v.Method == "" {
		v.Method = http.MethodGet
	}
	if v.URL == "" {
		v.URL = "/"
	}
}

// latin1 returns s in ISO-8859-1, one byte for each character.
func latin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func (v *headerVector) request() *http.Request {
	r := httptest.NewRequest(v.Method, v.URL, strings.NewReader(v.Body))
	for _, h := range v.Headers {
		r.Header[h[0]] = append(r.Header[h[0]], h[1])
	}
	return r
}

func (v *headerVector) raw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: api.example\r\n", v.Method, v.URL)
	for _, h := range v.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if v.Body != "" {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(v.Body))
	}
	return b.String() + "\r\n" + v.Body
}

func (v *headerVector) want(t *testing.T, d decisions) answer {
	t.Helper()
	status, code := v.Status, v.Error
	if decided, ok := d.Headers[v.ID]; ok {
		status, code = decided.Status, decided.Error
	}
	want, ok := map[string]answer{
		"200 ": allowed, "401 ": noToken, "400 invalid_request": badRequest, "401 invalid_token": badToken,
	}[fmt.Sprint(status, " ", code)]
	require.True(t, ok, "status %d with error %q", status, code)
	return want
}

// introspected returns the tokens that the introspector must be called with: goodToken if the request is allowed, and a
// token that is well-formed and short enough, but unknown.
func (v *headerVector) introspected(want answer) []string {
	switch want {
	case allowed:
		return []string{goodToken}
	case badToken:
		if token := strings.TrimPrefix(v.Headers[0][1], "Bearer "); len(token) <= oauthz.MaxTokenBytes {
			return []string{token}
		}
	}
	return nil
}
