package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

const audience = "https://api.example"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// endpoint is an introspection endpoint that records what it was asked.
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

// set changes the answer.
func (e *endpoint) set(answer http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) asked() []recorded {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

// says answers with a status and a body, as JSON unless a header says else.
func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// active answers with the members given, active and for this API.
func active(members string) http.HandlerFunc {
	return says(200, fmt.Sprintf(`{"active":true,"aud":%q%s}`, audience, members))
}

// introspector asks e at noon.
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

// answer is what a request got.
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
