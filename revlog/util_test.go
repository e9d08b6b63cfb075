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

// jti is the revocation of one token.
func jti(id string) oauthz.Revocation {
	return oauthz.Revocation{Match: map[string]any{"iss": issuer, "jti": id}}
}

func token(id string) *oauthz.Token { return &oauthz.Token{Issuer: issuer, ID: id} }

// garbage is a revocation that no list takes.
var garbage = oauthz.Revocation{Match: map[string]any{"jti": "no issuer"}}

type (
	readFunc   func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error)
	appendFunc func(ctx context.Context, revs ...oauthz.Revocation) error
)

// script is a log that does what a test says, and else what a Memory does.
type script struct {
	revlog.Memory

	mu      sync.Mutex
	read    readFunc
	write   appendFunc
	reads   []look
	appends int
	batch   int
}

func (s *script) Batch() int { return s.batch }

// look is a call of Read.
type look struct {
	after string
	wait  time.Duration
	at    time.Time
}

func (s *script) Read(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	s.mu.Lock()
	s.reads = append(s.reads, look{after, wait, time.Now()})
	read := s.read
	s.mu.Unlock()
	if read == nil {
		read = s.Memory.Read
	}
	return read(ctx, after, wait)
}

func (s *script) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	s.mu.Lock()
	s.appends++
	write := s.write
	s.mu.Unlock()
	if write == nil {
		write = s.Memory.Append
	}
	return write(ctx, revs...)
}

// reading has Read do this from now on; nil: what a Memory does.
func (s *script) reading(read readFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = read
}

// writing has Append do this from now on; nil: what a Memory does.
func (s *script) writing(write appendFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write = write
}

func (s *script) looks() []look {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]look(nil), s.reads...)
}

// countAppends counts calls of Append.
func (s *script) countAppends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appends
}

func down(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
	return nil, "", errDown
}

// hang is a Read that never returns but for its context.
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

// openReady opens a list that has caught up.
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

func wantCannotTell(t testing.TB, list *revlog.List, want ...error) {
	t.Helper()
	revoked, err := list.Revoked(t.Context(), token("of nobody"))
	assert.False(t, revoked)
	for _, target := range want {
		assert.ErrorIs(t, err, target)
		assert.ErrorIs(t, list.Health(), target)
	}
}

// pass lets time pass, and then all that it woke run until it waits.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// answer is what a client gets.
type answer struct {
	status                          int
	challenge, body, retry, caching string
	ran                             bool
}

// The answers of a Guard (design §3).
var (
	allowed = answer{status: http.StatusNoContent, ran: true}
	refused = answer{
		status:    http.StatusUnauthorized,
		challenge: `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`,
		body:      `{"error":"invalid_token","error_description":"The access token is not valid"}`,
		caching:   "no-store",
	}
	cannotTell = answer{
		status: http.StatusServiceUnavailable, body: `{"error":"temporarily_unavailable"}`, retry: "5", caching: "no-store",
	}
)

// bearers is an introspector of tokens that are the jti of what they say.
func bearers(_ context.Context, token string) (*oauthz.Token, error) {
	return oauthz.ParseToken(fmt.Appendf(nil, `{"iss":%q,"jti":%q}`, issuer, token))
}

func newGuard(t testing.TB, in oauthz.Introspector, list oauthz.RevocationList) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Introspector: in, Revocations: []oauthz.RevocationList{list}})
	require.NoError(t, err)
	return guard
}

// ask sends a request with a token through a Guard.
func ask(t testing.TB, guard *oauthz.Guard, token string) (got answer) {
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
