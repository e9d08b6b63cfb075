package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

const audience = "https://api.example"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// endpoint is an introspection endpoint that records its requests.
type endpoint struct {
	*httptest.Server

	mu       sync.Mutex
	requests []recorded
	answer   http.HandlerFunc
}

type recorded struct {
	header http.Header
	body   string
}

func newEndpoint(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{answer: answer}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	e.requests = append(e.requests, recorded{r.Header, string(body)})
	answer := e.answer
	e.mu.Unlock()
	answer(w, r)
}

// set replaces the answer.
func (e *endpoint) set(answer http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) received() []recorded {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// respond answers with a status and a body, as JSON unless header has a Content-Type.
func respond(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// active answers with an active token for this API, and with members.
func active(members string) http.HandlerFunc {
	return respond(200, fmt.Sprintf(`{"active":true,"aud":%q%s}`, audience, members))
}

// introspector returns an introspector for e whose clock is at noon.
func (e *endpoint) introspector(t *testing.T, changes ...func(*remote.Config)) *remote.Introspector {
	t.Helper()
	cfg := remote.Config{
		Endpoint: e.URL + "/introspect", Auth: remote.Basic("api", "secret"), Audience: []string{audience},
		Now: func() time.Time { return noon },
	}
	for _, change := range changes {
		change(&cfg)
	}
	in, err := remote.New(t.Context(), cfg)
	require.NoError(t, err)
	return in
}

// answer is the response of the Guard to a request.
type answer struct {
	status     int
	challenge  string
	retryAfter string
}

var (
	ok       = answer{status: 204}
	invalid  = answer{status: 401, challenge: `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`}
	expired  = answer{status: 401, challenge: `Bearer realm="api", error="invalid_token", error_description="The access token expired"`}
	fault    = answer{status: 503, retryAfter: "5"}
	noScopes = answer{status: 403, challenge: `Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope that is required", scope="read"`}
)

// ask sends a request with token to a route that requires scopes.
func ask(t *testing.T, in oauthz.Introspector, token string, scopes ...string) answer {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Introspector: in, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require(scopes...))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	return answer{w.Code, w.Header().Get("WWW-Authenticate"), w.Header().Get("Retry-After")}
}

// transport answers without a network, so that a test can run in a synctest bubble.
type transport func(r *http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

const good = `{"active":true,"aud":"https://api.example"}`

// bubbled returns an introspector whose calls dial answers.
func bubbled(t *testing.T, dial transport, changes ...func(*remote.Config)) *remote.Introspector {
	t.Helper()
	cfg := remote.Config{
		Endpoint: "https://issuer.example/introspect", Auth: remote.None(""), Audience: []string{audience},
		HTTPClient: &http.Client{Transport: dial},
	}
	for _, change := range changes {
		change(&cfg)
	}
	in, err := remote.New(t.Context(), cfg)
	require.NoError(t, err)
	return in
}

// withAuth sets the client authentication.
func withAuth(auth remote.ClientAuth) func(*remote.Config) {
	return func(c *remote.Config) { c.Auth = auth }
}

// withDiscovery discovers the endpoint.
func withDiscovery(c *remote.Config) { c.Endpoint, c.Issuer = "", "https://issuer.example" }

// metadata names the endpoint of withDiscovery.
const metadata = `{"issuer":"https://issuer.example","introspection_endpoint":"https://issuer.example/i"}`
