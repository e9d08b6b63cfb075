package interop_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/remote"
)

// How long the cache of an introspectingAPI keeps verdicts.
const (
	cacheTTL     = time.Minute
	staleIfError = 10 * time.Minute
)

// An introspectingAPI is an api that introspects tokens at a server, with a cache.
type introspectingAPI struct {
	*api
	cache *cache.Cache
	ahead atomic.Int64 // how far the clock of the cache is put forward, in nanoseconds

	mu   sync.Mutex
	last oauthz.Decision
}

// newIntrospectingAPI serves the route of [serve] with a Guard over a cache over remote.
func newIntrospectingAPI(t *testing.T, cfg remote.Config) *introspectingAPI {
	t.Helper()
	introspector, err := remote.New(t.Context(), cfg)
	require.NoError(t, err)
	a := new(introspectingAPI)
	a.cache, err = cache.New(introspector, cache.Config{
		TTL: cacheTTL, StaleIfError: staleIfError,
		Now: func() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, a.cache.Close()) })
	a.api = serve(t, oauthz.Config{Introspector: a.cache, Observe: a.observe}, cfg.Audience)
	return a
}

func (a *introspectingAPI) observe(_ context.Context, d oauthz.Decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = d
}

// pass puts the clock of the cache forward.
func (a *introspectingAPI) pass(d time.Duration) { a.ahead.Add(int64(d)) }

// assertSource checks the Source of the last decision.
func (a *introspectingAPI) assertSource(t *testing.T, want oauthz.Source) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	assert.True(t, a.last.Allowed)
	assert.Equal(t, want.String(), a.last.Source.String())
}

// assertCause checks the cause of the last refusal, which is not in the response.
func (a *introspectingAPI) assertCause(t *testing.T, want error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if assert.NotNil(t, a.last.Err) {
		assert.ErrorIs(t, a.last.Err, want)
	}
}

// assertNotCause checks that the last refusal has another cause.
func (a *introspectingAPI) assertNotCause(t *testing.T, unwanted error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if assert.NotNil(t, a.last.Err) {
		assert.False(t, errors.Is(a.last.Err, unwanted), "%v", a.last.Err)
	}
}
