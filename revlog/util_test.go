package revlog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

const issuer = "https://login.example.com"

var errDown = errors.New("the log is down")

// jti returns the revocation of one token.
func jti(id string) oauthz.Revocation {
	return oauthz.Revocation{Match: map[string]any{"iss": issuer, "jti": id}}
}

func token(id string) *oauthz.Token { return &oauthz.Token{Issuer: issuer, ID: id} }

// garbage is a revocation that no list accepts.
var garbage = oauthz.Revocation{Match: map[string]any{"jti": "no issuer"}}

type (
	readFunc   func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error)
	appendFunc func(ctx context.Context, revs ...oauthz.Revocation) error
)

// scriptedLog is a log that calls the functions of a test, or else those of a Memory.
type scriptedLog struct {
	revlog.Memory

	mu      sync.Mutex
	read    readFunc
	write   appendFunc
	reads   []readCall
	appends int
	batch   int
}

func (s *scriptedLog) Batch() int { return s.batch }

// readCall is one call of Read.
type readCall struct {
	after string
	wait  time.Duration
	at    time.Time
}

func (s *scriptedLog) Read(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	s.mu.Lock()
	s.reads = append(s.reads, readCall{after, wait, time.Now()})
	read := s.read
	s.mu.Unlock()
	if read == nil {
		read = s.Memory.Read
	}
	return read(ctx, after, wait)
}

func (s *scriptedLog) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	s.mu.Lock()
	s.appends++
	write := s.write
	s.mu.Unlock()
	if write == nil {
		write = s.Memory.Append
	}
	return write(ctx, revs...)
}

// setRead replaces Read; nil restores the Read of the Memory.
func (s *scriptedLog) setRead(read readFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = read
}

// setAppend replaces Append; nil restores the Append of the Memory.
func (s *scriptedLog) setAppend(write appendFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write = write
}

func (s *scriptedLog) readCalls() []readCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]readCall(nil), s.reads...)
}

// countAppends returns the number of calls of Append.
func (s *scriptedLog) countAppends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appends
}

func down(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
	return nil, "", errDown
}

// hang is a Read that returns only when its context ends.
func hang(ctx context.Context, _ string, _ time.Duration) ([]oauthz.Revocation, string, error) {
	<-ctx.Done()
	return nil, "", ctx.Err()
}

func open(t testing.TB, log revlog.Log, cfg revlog.Config) *revlog.List {
	t.Helper()
	list, err := revlog.Open(t.Context(), log, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, list.Close()) })
	return list
}

// openReady opens a list and waits until it has caught up.
func openReady(t testing.TB, log revlog.Log, cfg revlog.Config) *revlog.List {
	t.Helper()
	list := open(t, log, cfg)
	require.NoError(t, list.Ready(t.Context()))
	return list
}

func wantRevoked(t testing.TB, list *revlog.List, want bool, ids ...string) {
	t.Helper()
	for _, id := range ids {
		revoked, err := list.Revoked(t.Context(), token(id))
		require.NoError(t, err, id)
		assert.Equal(t, want, revoked, id)
	}
}

func wantUnavailable(t testing.TB, list *revlog.List, want ...error) {
	t.Helper()
	revoked, err := list.Revoked(t.Context(), token("not revoked"))
	assert.False(t, revoked)
	for _, target := range want {
		assert.ErrorIs(t, err, target)
		assert.ErrorIs(t, list.Health(), target)
	}
}

// advance moves the fake clock by d, and then waits until every goroutine waits.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// answer is the response that a client receives.
type answer struct {
	status                          int
	challenge, body, retry, caching string
	ran                             bool
}

// The answers of a Guard.
var (
	allowed = answer{status: http.StatusNoContent, ran: true}
	refused = answer{
		status:    http.StatusUnauthorized,
		challenge: `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`,
		body:      `{"error":"invalid_token","error_description":"The access token is not valid"}`,
		caching:   "no-store",
	}
	unavailable = answer{
		status: http.StatusServiceUnavailable, body: `{"error":"temporarily_unavailable"}`, retry: "5", caching: "no-store",
	}
)

// introspectID is an introspector. The token string is the jti of the token.
func introspectID(_ context.Context, token string) (*oauthz.Token, error) {
	return oauthz.ParseToken(fmt.Appendf(nil, `{"iss":%q,"jti":%q}`, issuer, token))
}

func newGuard(t testing.TB, in oauthz.Introspector, list oauthz.RevocationList) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{list}})
	require.NoError(t, err)
	return guard
}

// request sends a request with a token through a Guard.
func request(t testing.TB, guard *oauthz.Guard, token string) (got answer) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		got.ran = true
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	response := w.Result()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	got.status, got.body = response.StatusCode, string(body)
	got.challenge = strings.Join(response.Header.Values("WWW-Authenticate"), "\n")
	got.retry, got.caching = response.Header.Get("Retry-After"), response.Header.Get("Cache-Control")
	return got
}
