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

// How long verdicts are kept by the cache of an introspectingAPI.
const (
	cacheTTL     = time.Minute
	staleIfError = 10 * time.Minute
)

// An introspectingAPI is an api that asks a server what a token says, and remembers it.
type introspectingAPI struct {
	*api
	cache *cache.Cache
	ahead atomic.Int64 // how far the clock of the cache is put forward, in nanoseconds

	mu   sync.Mutex
	last oauthz.Decision
}

// newIntrospectingAPI serves [serve]'s route with a Guard over a cache over remote.
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

// pass lets time go by, for the cache.
func (a *introspectingAPI) pass(d time.Duration) { a.ahead.Add(int64(d)) }

// assertSource checks who answered for the token of the last request.
func (a *introspectingAPI) assertSource(t *testing.T, want oauthz.Source) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	assert.True(t, a.last.Allowed)
	assert.Equal(t, want.String(), a.last.Source.String())
}

// assertCause checks why the last request was refused, which the client is not told.
func (a *introspectingAPI) assertCause(t *testing.T, want error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if assert.NotNil(t, a.last.Err) {
		assert.ErrorIs(t, a.last.Err, want)
	}
}

// assertNotCause checks why the last request was not refused.
func (a *introspectingAPI) assertNotCause(t *testing.T, unwanted error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if assert.NotNil(t, a.last.Err) {
		assert.False(t, errors.Is(a.last.Err, unwanted), "%v", a.last.Err)
	}
}
