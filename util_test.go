package oauthz_test

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

// epoch is the current time of the tests that need one.
var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func atEpoch() time.Time { return epoch }

// issuer is an introspector that has the claims of each token as JSON, and records the tokens that it receives.
type issuer struct {
	claims map[string]string

	mu    sync.Mutex
	asked []string
}

// knows returns an issuer of one token, goodToken.
func knows(claims string) *issuer { return &issuer{claims: map[string]string{goodToken: claims}} }

func (i *issuer) Introspect(_ context.Context, token string) (*oauthz.Token, error) {
	i.mu.Lock()
	i.asked = append(i.asked, token)
	i.mu.Unlock()
	claims, ok := i.claims[token]
	if !ok {
		return nil, fmt.Errorf("%w: unknown", oauthz.ErrInvalidToken)
	}
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", oauthz.ErrInvalidToken, err)
	}
	return t, nil
}

func (i *issuer) questions() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.asked...)
}

// answers returns an introspector with a fixed answer.
func answers(t *oauthz.Token, err error) oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return t, err })
}

func newGuard(t testing.TB, cfg oauthz.Config) *oauthz.Guard {
	t.Helper()
	if cfg.Introspector == nil {
		cfg.Introspector = knows(`{"sub":"user-1"}`)
	}
	guard, err := oauthz.New(cfg)
	require.NoError(t, err)
	return guard
}

func parse(t testing.TB, claims string) *oauthz.Token {
	t.Helper()
	token, err := oauthz.ParseToken([]byte(claims))
	require.NoError(t, err)
	return token
}

// get returns a request with Authorization fields, none if there are no values.
func get(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	return r
}

func withGoodToken() *http.Request { return get("Bearer " + goodToken) }

// spy is a handler that records that it ran, and its token.
type spy struct {
	runs  atomic.Int64
	token atomic.Pointer[oauthz.Token]
}

func (s *spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.runs.Add(1)
	if token, ok := oauthz.TokenFrom(r.Context()); ok {
		s.token.Store(token)
	}
	w.WriteHeader(http.StatusNoContent)
}

// response is the response that a client receives. ran reports whether the handler ran.
type response struct {
	status    int
	challenge string // all WWW-Authenticate fields, one on each line
	body      string
	header    http.Header
	ran       bool
	token     *oauthz.Token // the handler's
}

// serve passes r through guard to a spy.
func serve(t testing.TB, guard *oauthz.Guard, req oauthz.Requirement, r *http.Request) response {
	t.Helper()
	handler := &spy{}
	recorder := httptest.NewRecorder()
	guard.Protect(req)(handler).ServeHTTP(recorder, r)
	return seen(t, recorder.Result(), handler)
}

func seen(t testing.TB, answer *http.Response, handler *spy) response {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.LessOrEqual(t, handler.runs.Load(), int64(1), "the handler ran more than once")
	return response{
		status:    answer.StatusCode,
		challenge: strings.Join(answer.Header.Values("WWW-Authenticate"), "\n"),
		body:      string(body),
		header:    answer.Header,
		ran:       handler.runs.Load() > 0,
		token:     handler.token.Load(),
	}
}

// listen serves h until the test ends, which is after the connections of dial are closed.
func listen(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// exchange writes raw bytes to a server and reads one answer, so that a request arrives exactly as a test wrote it.
func exchange(t testing.TB, server *httptest.Server, request string, handler *spy) response {
	t.Helper()
	connection, reader := dial(t, server)
	_, err := io.WriteString(connection, request)
	require.NoError(t, err)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	return seen(t, answer, handler)
}

func dial(t testing.TB, server *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	require.NoError(t, connection.SetDeadline(time.Now().Add(20*time.Second))) // a hang is a failure
	return connection, bufio.NewReader(connection)
}

// answer is the response that a request must receive: the status, the whole challenge and the body.
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
	expired    = refused(http.StatusUnauthorized, "invalid_token", "The access token expired")
	lacksClaim = refused(http.StatusForbidden, "insufficient_scope", "The access token does not allow this")
	cannotTell = answer{http.StatusServiceUnavailable, "", `{"error":"temporarily_unavailable"}`}
	ourMistake = answer{http.StatusInternalServerError, "", `{"error":"server_error"}`}
)

func refused(status int, code, description string) answer {
	return answer{
		status:    status,
		challenge: fmt.Sprintf(`Bearer realm="api", error="%s", error_description="%s"`, code, description),
		body:      fmt.Sprintf(`{"error":"%s","error_description":"%s"}`, code, description),
	}
}

func lacksScope(scopes string) answer {
	a := refused(http.StatusForbidden, "insufficient_scope", "The access token lacks a scope that is required")
	a.challenge += fmt.Sprintf(`, scope="%s"`, scopes)
	return a
}

func stepUp(params string) answer {
	a := refused(http.StatusUnauthorized, "insufficient_user_authentication", "A newer or stronger login is required")
	a.challenge += ", " + params
	return a
}

// asks is noToken on a route that requires scopes.
func asks(scopes string) answer {
	a := noToken
	a.challenge += fmt.Sprintf(`, scope="%s"`, scopes)
	return a
}

// check compares the whole response, and checks that the handler ran if and only if the request was allowed.
func (a answer) check(t testing.TB, got response) {
	t.Helper()
	assert.Equal(t, a, answer{got.status, got.challenge, got.body})
	assert.Equal(t, a == allowed, got.ran, "handler ran")
	if a == allowed {
		return
	}
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
	assert.Equal(t, a.status == http.StatusServiceUnavailable, got.header.Get("Retry-After") != "", "Retry-After")
}
