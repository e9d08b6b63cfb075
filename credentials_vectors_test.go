package oauthz_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// readVectors reads a file of the vectors that lie beside the repository, and skips the test where they do not.
func readVectors(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "shared", "vectors", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no ../shared/vectors/%s beside this repository: the tables in this package still hold the cases that matter most", name)
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

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
}

// headerDecisions are the cases that get another outcome than the file says.
var headerDecisions = map[string]struct {
	want answer
	why  string
}{
	"hp-kelvin-dpop":     {want: noToken, why: "until there is a Confirmer for DPoP, it is not a scheme we take"},
	"hp-form-and-header": {want: allowed, why: "the body is never looked at, so the header is judged alone"},
}

// TestHeaderVectors: the cases of hostile-inputs §3.1, each sent as it is where HTTP can carry it.
func TestHeaderVectors(t *testing.T) {
	t.Parallel()
	var file struct{ Cases []headerVector }
	readVectors(t, "authorization-header.json", &file)
	require.Len(t, file.Cases, 58)
	for _, v := range file.Cases {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			v.expand()
			in := knows(`{}`)
			var got response
			if v.Via == "direct" {
				got = serve(t, newGuard(t, oauthz.Config{Introspector: in}), oauthz.Require(), v.request())
			} else {
				got = overTheWire(t, in, v.raw())
			}
			want := v.want(t)
			want.check(t, got)
			assert.Equal(t, withGood(want, v.asked()), in.questions())
		})
	}
}

var repeated = regexp.MustCompile(`\{(.)\*(\d+)\}`)

// expand puts the token in, and the characters that the file only counts.
func (v *headerVector) expand() {
	replace := func(s string) string {
		return repeated.ReplaceAllStringFunc(strings.ReplaceAll(s, "{T}", goodToken), func(m string) string {
			n, _ := strconv.Atoi(m[3 : len(m)-1])
			return strings.Repeat(m[1:2], n)
		})
	}
	for i := range v.Headers {
		v.Headers[i][1] = replace(v.Headers[i][1])
		if v.ID == "hp-latin1" {
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

// latin1 is s in ISO-8859-1, a byte for each character.
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

func (v *headerVector) want(t *testing.T) answer {
	t.Helper()
	if decided, ok := headerDecisions[v.ID]; ok {
		return decided.want
	}
	want, ok := map[string]answer{
		"200 ": allowed, "401 ": noToken, "400 invalid_request": badRequest, "401 invalid_token": badToken,
	}[fmt.Sprint(v.Status, " ", v.Error)]
	require.True(t, ok, "status %d with error %q", v.Status, v.Error)
	return want
}

// asked is what the introspector is asked beside goodToken: a token that is well-formed, unknown and not too long.
func (v *headerVector) asked() []string {
	if v.ID == "hp-b64token-all" {
		return []string{strings.TrimPrefix(v.Headers[0][1], "Bearer ")}
	}
	return nil
}
