package conformance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// goodToken has every kind of character that a b64token has (RFC 6750 §2.1).
const goodToken = "mF_9.B5f-4.1~Jq+M/=="

// issuer is an introspector that knows goodToken and keeps the tokens that it was called with.
type issuer struct {
	mu     sync.Mutex
	tokens []string
}

func (i *issuer) Introspect(_ context.Context, token string) (*oauthz.Token, error) {
	i.mu.Lock()
	i.tokens = append(i.tokens, token)
	i.mu.Unlock()
	if token != goodToken {
		return nil, fmt.Errorf("%w: unknown", oauthz.ErrInvalidToken)
	}
	return oauthz.ParseToken([]byte(`{}`))
}

func (i *issuer) introspected() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.tokens...)
}

// route is a handler behind a Guard; it counts the requests that it handles.
type route struct {
	http.Handler
	handled atomic.Int64
}

func newRoute(t testing.TB, cfg oauthz.Config) *route {
	t.Helper()
	guard, err := oauthz.New(cfg)
	require.NoError(t, err)
	r := &route{}
	r.Handler = guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r.handled.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	return r
}

// serve sends a request to the handler, without a network.
func (r *route) serve(request *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	r.ServeHTTP(recorder, request)
	return recorder.Result()
}

// exchange writes raw bytes to a server of r and reads one answer, so that the request arrives exactly as it is written.
func (r *route) exchange(t testing.TB, request string) *http.Response {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	require.NoError(t, connection.SetDeadline(time.Now().Add(20*time.Second))) // a hang is a failure
	_, err = io.WriteString(connection, request)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	return response
}

// answer is the answer that a request must get: the status, all challenges and the body.
type answer struct {
	status          int
	challenge, body string
}

// The answers of a Guard with the default realm.
var (
	allowed    = answer{status: http.StatusNoContent}
	noToken    = answer{http.StatusUnauthorized, `Bearer realm="api"`, `{}`}
	badRequest = refused(http.StatusBadRequest, "invalid_request", "The credentials are malformed, or sent more than once")
	badToken   = refused(http.StatusUnauthorized, "invalid_token", "The access token is not valid")
)

func refused(status int, code, description string) answer {
	return answer{
		status:    status,
		challenge: fmt.Sprintf(`Bearer realm="api", error="%s", error_description="%s"`, code, description),
		body:      fmt.Sprintf(`{"error":"%s","error_description":"%s"}`, code, description),
	}
}

// check compares a response with a, and checks that the handler ran exactly once if the request was allowed.
func (a answer) check(t testing.TB, r *route, response *http.Response) {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, a, answer{response.StatusCode, strings.Join(response.Header.Values("WWW-Authenticate"), "\n"), string(body)})
	if a == allowed {
		assert.Equal(t, int64(1), r.handled.Load(), "handler runs")
		return
	}
	assert.Zero(t, r.handled.Load(), "handler runs")
	assert.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
	assert.Empty(t, response.Header.Get("Retry-After"))
}
