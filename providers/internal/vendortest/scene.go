package vendortest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
)

// Stage configures a [Scene].
type Stage[C oauthz.Introspector] struct {
	// Path is the path of the vendor's introspection endpoint. A request for any other
	// path revokes.
	Path string
	// Introspect and Revoke answer for the vendor.
	Introspect, Revoke http.HandlerFunc
	// New returns a client of the vendor at base.
	New func(base string, list oauthz.Revoker, now func() time.Time) (C, error)
	// Scope is required by the API.
	Scope string
	// TTL is the TTL of the caches; 0 is their default.
	TTL time.Duration
	// Start is the time at first.
	Start time.Time
}

// Scene is two instances of an API, each with a cache of its own, and one list of
// revocations for both. The vendor introspects every token as active, also after it
// was called to revoke the token.
type Scene[C oauthz.Introspector] struct {
	Client C
	List   oauthz.MemoryRevocations
	// Introspected counts the introspections, Revoked the requests that revoke.
	Introspected, Revoked atomic.Int32

	start     time.Time
	elapsed   atomic.Int64
	handled   atomic.Int32 // requests that the handlers of the instances received
	instances []http.Handler
}

// NewScene starts the vendor, which ends with the test.
func NewScene[C oauthz.Introspector](t testing.TB, stage Stage[C]) *Scene[C] {
	t.Helper()
	s := &Scene[C]{start: stage.Start}
	s.List.Now = s.now
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == stage.Path {
			s.Introspected.Add(1)
			stage.Introspect(w, r)
			return
		}
		s.Revoked.Add(1)
		stage.Revoke(w, r)
	}))
	t.Cleanup(server.Close)
	for range 2 {
		client, err := stage.New(server.URL, remoteList{&s.List}, s.now)
		require.NoError(t, err)
		s.Client = client
		cached, err := cache.New(client, cache.Config{TTL: stage.TTL, Now: s.now})
		require.NoError(t, err)
		guard, err := oauthz.New(oauthz.Config{Introspector: cached, RevocationLists: []oauthz.RevocationList{&s.List}, Now: s.now})
		require.NoError(t, err)
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.handled.Add(1) })
		s.instances = append(s.instances, guard.Protect(oauthz.Require(stage.Scope))(handler))
	}
	return s
}

func (s *Scene[C]) now() time.Time { return s.start.Add(time.Duration(s.elapsed.Load())) }

// SetTime sets the clock of the scene to a time after its start.
func (s *Scene[C]) SetTime(sinceStart time.Duration) { s.elapsed.Store(int64(sinceStart)) }

// WantAccepted checks that both instances accept token.
func (s *Scene[C]) WantAccepted(t testing.TB, token string) {
	t.Helper()
	for _, instance := range s.instances {
		before := s.handled.Load()
		assert.Equal(t, http.StatusOK, get(instance, token).Code)
		assert.Equal(t, before+1, s.handled.Load())
	}
}

// WantRefused checks that both instances refuse token because of the list, without
// introspecting it: the caches still hold that it is active.
func (s *Scene[C]) WantRefused(t testing.TB, token string) {
	t.Helper()
	introspected := s.Introspected.Load()
	s.WantUnauthorized(t, token)
	assert.Equal(t, introspected, s.Introspected.Load(), "the token was introspected")
}

// WantUnauthorized checks that both instances refuse token.
func (s *Scene[C]) WantUnauthorized(t testing.TB, token string) {
	t.Helper()
	handled := s.handled.Load()
	for _, instance := range s.instances {
		got := get(instance, token)
		assert.Equal(t, http.StatusUnauthorized, got.Code)
		assert.Equal(t, `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`, got.Header().Get("WWW-Authenticate"))
		assert.JSONEq(t, `{"error":"invalid_token","error_description":"The access token is not valid"}`, got.Body.String())
	}
	assert.Equal(t, handled, s.handled.Load(), "the handler ran")
}

func get(h http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// remoteList is a list on another machine: it records nothing if the context has
// ended.
type remoteList struct{ *oauthz.MemoryRevocations }

func (l remoteList) Revoke(ctx context.Context, revs ...oauthz.Revocation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.MemoryRevocations.Revoke(ctx, revs...)
}

// Answering returns a handler that answers with status, and with an error of OAuth 2.0
// unless the status is 204.
func Answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = io.WriteString(w, `{"error":"unsupported_token_type"}`)
		}
	}
}

// Records is a Revoker that keeps the revocations.
type Records struct{ Revs []oauthz.Revocation }

// Revoke keeps revs.
func (l *Records) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	l.Revs = append(l.Revs, revs...)
	return nil
}
