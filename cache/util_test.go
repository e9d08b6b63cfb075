package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
)

// upstream is an introspector that counts its calls.
type upstream struct {
	calls  atomic.Int64
	answer func(ctx context.Context, token string) (*oauthz.Token, error)
}

func (u *upstream) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	u.calls.Add(1)
	return u.answer(ctx, token)
}

// answers returns an upstream that accepts every token with these claims.
func answers(claims oauthztest.Claims) *upstream {
	return &upstream{answer: func(context.Context, string) (*oauthz.Token, error) { return oauthztest.Token(claims), nil }}
}

func failsWith(err error) *upstream {
	return &upstream{answer: func(context.Context, string) (*oauthz.Token, error) { return nil, err }}
}

func newCache(t *testing.T, next oauthz.Introspector, cfg cache.Config) *cache.Cache {
	t.Helper()
	c, err := cache.New(next, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// outcome is the status of a response, and the source of the decision.
type outcome struct {
	status int
	source oauthz.Source
}

func request(t *testing.T, in oauthz.Introspector, token string, req ...oauthz.Requirement) outcome {
	t.Helper()
	var got outcome
	guard, err := oauthz.New(oauthz.Config{
		Introspector: in, Observe: func(_ context.Context, d oauthz.Decision) { got.source = d.Source },
	})
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	guard.Protect(oauthz.All(req...))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	got.status = w.Code
	return got
}

var (
	fresh      = outcome{204, oauthz.SourceFresh}
	remembered = outcome{204, oauthz.SourceRemembered}
	stale      = outcome{204, oauthz.SourceStale}
)

func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

type temporary struct{ error }

func (temporary) Temporary() bool { return true }

func (e temporary) Unwrap() error { return e.error }

// cacheAfterJunk returns a cache that received one valid token and then n junk tokens.
func cacheAfterJunk(tb testing.TB, n int) (*cache.Cache, *upstream) {
	tb.Helper()
	next := &upstream{answer: func(_ context.Context, token string) (*oauthz.Token, error) {
		if token == "good" {
			return oauthztest.Token(oauthztest.Claims{"scope": "a"}), nil
		}
		return nil, oauthz.ErrInactive
	}}
	c, err := cache.New(next, cache.Config{TTL: time.Hour})
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, c.Close()) })
	_, err = c.Introspect(tb.Context(), "good")
	require.NoError(tb, err)
	for i := range n {
		_, err := c.Introspect(tb.Context(), fmt.Sprint("junk-", i))
		require.ErrorIs(tb, err, oauthz.ErrInactive)
	}
	return c, next
}
