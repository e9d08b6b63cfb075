package polar_test

import (
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/polar"
)

const (
	clientID     = "polar_ci_abc"
	clientSecret = "polar_cs_canary-secret"
	random       = "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8N" // 37 characters
)

var clock = time.Unix(1767650000, 0)

// mint makes a secret as Polar does: apart from the library's own arithmetic, with math/big.
func mint(prefix, random string) string {
	digits := big.NewInt(int64(crc32.ChecksumIEEE([]byte(random)))).Text(62)
	// math/big has a-z before A-Z, Polar A-Z before a-z: the digits swap case.
	swapped := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return r
		}
	}, digits)
	return prefix + random + strings.Repeat("0", max(6-len(swapped), 0)) + swapped
}

func accessToken() string  { return mint("polar_at_u_", random) }
func refreshToken() string { return mint("polar_rt_u_", random) }

// fake answers every request with the same, and keeps what it was asked.
type fake struct {
	status int
	header http.Header
	body   string

	calls atomic.Int32
	last  atomic.Pointer[asked]
}

type asked struct {
	method, path, rawQuery string
	header                 http.Header
	body                   string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.calls.Add(1)
	f.last.Store(&asked{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), string(body)})
	for name, values := range f.header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.body)
}

// form takes our credentials out of what was asked, wherever they are, and returns them with the rest.
func (a *asked) form(t *testing.T) (id, secret string, rest url.Values) {
	t.Helper()
	rest, err := url.ParseQuery(a.body)
	require.NoError(t, err)
	id, secret = rest.Get("client_id"), rest.Get("client_secret")
	rest.Del("client_id")
	rest.Del("client_secret")
	r := &http.Request{Header: a.header}
	if user, password, ok := r.BasicAuth(); ok {
		assert.Empty(t, id, "two ways of client authentication at once")
		id, secret = user, password
	}
	return id, secret, rest
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// client returns a Client of f, which is served until the test ends.
func (f *fake) client(t *testing.T, edit ...func(*polar.Config)) *polar.Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg := polar.Config{
		BaseURL: server.URL, ClientID: clientID, ClientSecret: clientSecret,
		HTTPClient: server.Client(), Now: func() time.Time { return clock },
	}
	for _, e := range edit {
		e(&cfg)
	}
	client, err := polar.New(cfg)
	require.NoError(t, err)
	return client
}

func answers(status int, body string) *fake {
	return &fake{status: status, header: jsonHeader(), body: body}
}

// kind is which of the three answers of an Introspector this is.
func kind(token *oauthz.Token, err error) string {
	switch {
	case err == nil && token != nil:
		return "token"
	case errors.Is(err, oauthz.ErrUnrecognized):
		return "unrecognized"
	case errors.Is(err, oauthz.ErrUnavailable):
		return "fault"
	case errors.Is(err, oauthz.ErrInvalidToken):
		return "refusal"
	default:
		return "?"
	}
}

// wantError wants a *providers.OperationError with status, whose text begins with prefix.
func wantError(t *testing.T, err error, prefix string, status int) {
	t.Helper()
	var failed *providers.OperationError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "polar", failed.Vendor)
	assert.Equal(t, status, failed.Status)
	assert.True(t, strings.HasPrefix(err.Error(), prefix), "%v", err)
}

func members(t *testing.T, body []byte) (out map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &out))
	return out
}

type exchange struct {
	ID, System, Operation string
	Dialect               *string
	Request               struct {
		Method, URL string
		Headers     map[string]string
		Body        map[string]any
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
		RawBody *string `json:"raw_body"`
	}
	Expect *struct {
		Verdict    string
		Scopes     []string
		Sub        *string
		Tenant     *string
		ClientID   *string `json:"client_id"`
		Exp        *int64
		RetryAfter *int64 `json:"retry_after"`
	}
}

func (e *exchange) fake() *fake {
	f := &fake{status: e.Response.Status, header: http.Header{}, body: string(e.Response.Body)}
	for name, value := range e.Response.Headers {
		f.header.Set(name, value)
	}
	if e.Response.RawBody != nil {
		f.body = *e.Response.RawBody
	}
	return f
}

func samples(t *testing.T) []exchange {
	t.Helper()
	data, err := os.ReadFile("../../../shared/vectors/wire-samples.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no ../shared/vectors/wire-samples.json beside the checkout")
	}
	require.NoError(t, err)
	var file struct {
		Clock     int64 `json:"clock_unix"`
		Exchanges []exchange
	}
	require.NoError(t, json.Unmarshal(data, &file))
	require.Equal(t, clock.Unix(), file.Clock)
	var out []exchange
	for _, e := range file.Exchanges {
		if e.System == "polar" {
			out = append(out, e)
		}
	}
	require.NotEmpty(t, out)
	return out
}
