package agilicus_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/agilicus"
)

const (
	jwt      = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJjYW5hcnkifQ.canary-signature"
	apiToken = "canary-api-token"
	audience = "urn:api:agilicus:users"
)

var clock = time.Unix(1767650000, 0)

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

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func answers(status int, body string) *fake {
	return &fake{status: status, header: jsonHeader(), body: body}
}

// client returns a Client of f, which is served until the test ends.
func (f *fake) client(t *testing.T, edit ...func(*agilicus.Config)) *agilicus.Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg := config(server.URL, server.Client())
	for _, e := range edit {
		e(&cfg)
	}
	client, err := agilicus.New(cfg)
	require.NoError(t, err)
	return client
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

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
	assert.Equal(t, "agilicus", failed.Vendor)
	assert.Equal(t, status, failed.Status)
	assert.True(t, strings.HasPrefix(err.Error(), prefix), "%v", err)
}

type exchange struct {
	ID, System, Operation string
	Dialect               *string
	Request               struct {
		Method, URL string
		Headers     map[string]string
		Body        json.RawMessage
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
		RawBody *string `json:"raw_body"`
	}
	Expect *struct {
		Verdict  string
		Reason   *string
		Scopes   []string
		Sub      *string
		Tenant   *string
		ClientID *string `json:"client_id"`
		Exp      *int64
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
		if e.System == "agilicus" {
			out = append(out, e)
		}
	}
	require.NotEmpty(t, out)
	return out
}
