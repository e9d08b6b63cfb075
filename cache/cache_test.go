package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

// upstream is an introspector that counts what it is asked.
type upstream struct {
	calls  atomic.Int64
	answer func(ctx context.Context, token string) (*oauthz.Token, error)
}

func (u *upstream) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	u.calls.Add(1)
	return u.answer(ctx, token)
}

// says answers every token with these claims.
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

// seen is what a request got, and how.
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
	fresh      = outcome{204, oauthz.Fresh}
	remembered = outcome{204, oauthz.Remembered}
	stale      = outcome{204, oauthz.Stale}
)

func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// CA-01: what a token says is remembered, what a route needs is checked each time.
func TestCA01FactsNotDecisions(t *testing.T) {
	t.Parallel()
	c := newCache(t, answers(oauthztest.Claims{"scope": "a"}), cache.Config{})
	require.Equal(t, fresh, request(t, c, "token", oauthz.Require("a")))
	assert.Equal(t, outcome{403, oauthz.Remembered}, request(t, c, "token", oauthz.Require("b")))
	assert.Equal(t, remembered, request(t, c, "token", oauthz.Require("a")))
}

// CA-02: two caches share nothing.
func TestCA02CachesShareNothing(t *testing.T) {
	t.Parallel()
	one, two := answers(oauthztest.Claims{"sub": "one"}), answers(oauthztest.Claims{"sub": "two"})
	a, b := newCache(t, one, cache.Config{}), newCache(t, two, cache.Config{})
	for range 2 {
		got, err := a.Introspect(t.Context(), "token")
		require.NoError(t, err)
		assert.Equal(t, "one", got.Subject)
		got, err = b.Introspect(t.Context(), "token")
		require.NoError(t, err)
		assert.Equal(t, "two", got.Subject)
	}
}

// CA-03, CA-04: tokens that look alike, or hold what could delimit a key.
func TestCA03CA04TokensAreToldApart(t *testing.T) {
	t.Parallel()
	next := &upstream{answer: func(_ context.Context, token string) (*oauthz.Token, error) {
		return oauthztest.Token(oauthztest.Claims{"sub": "of " + token, "jti": "same"}), nil
	}}
	c := newCache(t, next, cache.Config{})
	tokens := []string{"a", "a|", "|a", "a\x00", "a\x00b", "ab", "https://a", strings.Repeat("a", 64), strings.Repeat("a", 65)}
	for range 2 {
		for _, token := range tokens {
			got, err := c.Introspect(t.Context(), token)
			require.NoError(t, err)
			assert.Equal(t, "of "+token, got.Subject)
		}
	}
	assert.Equal(t, int64(len(tokens)), next.calls.Load())
}

// CA-05, CA-06: refusals for a short time, faults not at all.
func TestCA05CA06WhatIsRemembered(t *testing.T) {
	t.Parallel()
	unavailable := &oauthz.Error{Status: 503, Err: oauthz.ErrUnavailable}
	tests := []struct {
		name  string
		err   error
		calls int64 // of three requests
	}{
		{"inactive", oauthz.ErrInactive, 1},
		{"expired", oauthz.ErrExpired, 1},
		{"not recognized", oauthz.ErrUnrecognized, 3},
		{"fault", errors.New("reset"), 3},
		{"unavailable", unavailable, 3},
		{"unknown key", temporary{oauthz.ErrInvalidToken}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := failsWith(tt.err)
				c := newCache(t, next, cache.Config{})
				for range 3 {
					_, err := c.Introspect(t.Context(), "token")
					require.ErrorIs(t, err, tt.err)
				}
				assert.Equal(t, tt.calls, next.calls.Load())
				next.answer = answers(nil).answer
				advance(5 * time.Second)
				assert.Equal(t, fresh, request(t, c, "token"), "recovers")
			})
		})
	}
}

type temporary struct{ error }

func (temporary) Temporary() bool { return true }
func (e temporary) Unwrap() error { return e.error }

func TestNegativeTTLOff(t *testing.T) {
	t.Parallel()
	next := failsWith(oauthz.ErrInactive)
	c := newCache(t, next, cache.Config{NegativeTTL: -1})
	for range 3 {
		_, err := c.Introspect(t.Context(), "token")
		require.ErrorIs(t, err, oauthz.ErrInactive)
	}
	assert.Equal(t, int64(3), next.calls.Load())
}

// CA-07: junk tokens cost bounded memory, and push out no good token in use.
// BenchmarkJunk does it with a million.
func TestCA07JunkPushesNothingOut(t *testing.T) {
	t.Parallel()
	c, next := cacheAfterJunk(t, 30_000)
	stats := c.Stats()
	assert.LessOrEqual(t, stats.Refusals, 10_100)
	assert.Equal(t, 1, stats.Tokens)
	before := next.calls.Load()
	assert.Equal(t, remembered, request(t, c, "good"))
	assert.Equal(t, before, next.calls.Load(), "warm")
}

// junked is a cache that knew one good token before it was asked for n others.
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

// CA-07: good tokens are bounded too, in number and in bytes.
func TestCA07TokensAreBounded(t *testing.T) {
	t.Parallel()
	next := &upstream{answer: func(context.Context, string) (*oauthz.Token, error) {
		return oauthztest.Token(oauthztest.Claims{"x": strings.Repeat("x", 2000)}), nil
	}}
	number := newCache(t, next, cache.Config{MaxTokens: 100})
	size := newCache(t, next, cache.Config{MaxBytes: 1 << 20})
	for i := range 5000 {
		for _, c := range []*cache.Cache{number, size} {
			_, err := c.Introspect(t.Context(), fmt.Sprint("token-", i))
			require.NoError(t, err)
		}
	}
	assert.LessOrEqual(t, number.Stats().Tokens, 110)
	assert.LessOrEqual(t, size.Stats().Bytes, int64(1<<20+1<<15))
	assert.Greater(t, size.Stats().Tokens, 200)
}

// CA-08, CA-09: a verdict dies with the token, and one that is dead is not kept.
func TestCA08CA09DiesWithTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"exp": time.Now().Add(10 * time.Second)})
		c := newCache(t, next, cache.Config{TTL: 5 * time.Minute})
		require.Equal(t, fresh, request(t, c, "token"))
		advance(9 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		advance(time.Second)
		assert.Equal(t, outcome{401, oauthz.Fresh}, request(t, c, "token"))
		assert.Equal(t, int64(2), next.calls.Load())
		assert.Equal(t, outcome{401, oauthz.Fresh}, request(t, c, "token"), "not kept: it was over")
		assert.Equal(t, int64(3), next.calls.Load())
	})
}

// The TTL ends a verdict too, and one without an expiry.
func TestTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{})
		require.Equal(t, fresh, request(t, c, "token"))
		advance(59 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		advance(time.Second)
		assert.Equal(t, fresh, request(t, c, "token"))
	})
}

// CA-10, CA-16: revoked at the server, it is accepted for the TTL at most; told
// of it, it is refused at once. What was asked before is not remembered after.
func TestCA10CA16Forget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{})
		require.Equal(t, fresh, request(t, c, "token"))
		next.answer = failsWith(oauthz.ErrInactive).answer
		require.Equal(t, remembered, request(t, c, "token"))
		c.Forget("token")
		assert.Equal(t, outcome{401, oauthz.Fresh}, request(t, c, "token"))
		next.answer = answers(nil).answer
		c.Purge()
		assert.Equal(t, fresh, request(t, c, "token"), "a refusal is forgotten too")
	})
}

func TestForgetDuringACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		next := &upstream{}
		next.answer = func(context.Context, string) (*oauthz.Token, error) {
			<-release
			return oauthztest.Token(nil), nil
		}
		c := newCache(t, next, cache.Config{})
		var all sync.WaitGroup
		all.Go(func() { assert.Equal(t, 204, request(t, c, "token").status) })
		synctest.Wait()
		c.Forget("token")
		all.Go(func() { assert.Equal(t, 204, request(t, c, "token").status) })
		synctest.Wait()
		assert.Equal(t, int64(2), next.calls.Load(), "the second asks anew: the first answer may be from before")
		close(release)
		all.Wait()
		assert.Equal(t, remembered, request(t, c, "token"), "the second answer is remembered")
	})
}

// CA-11: a clock that is set back makes nothing immortal.
func TestCA11ClockThatIsSet(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	next := answers(nil)
	c := newCache(t, next, cache.Config{Now: func() time.Time { return now }})
	require.Equal(t, fresh, request(t, c, "token"))
	now = now.Add(-time.Hour)
	assert.Equal(t, fresh, request(t, c, "token"))
	now = now.Add(2 * time.Hour)
	assert.Equal(t, fresh, request(t, c, "token"))
}

// CA-12: a thousand requests with one new token are one call.
func TestCA12Herd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"sub": "alice"})
		answer := next.answer
		next.answer = func(ctx context.Context, token string) (*oauthz.Token, error) {
			<-time.After(time.Second)
			return answer(ctx, token)
		}
		c := newCache(t, next, cache.Config{})
		var same atomic.Int64
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if got, err := c.Introspect(t.Context(), "token"); err == nil && got.Subject == "alice" {
					same.Add(1)
				}
			})
		}
		all.Wait()
		t.Logf("1000 requests: %d calls, %d the same verdict", next.calls.Load(), same.Load())
		assert.Equal(t, int64(1), next.calls.Load())
		assert.Equal(t, int64(1000), same.Load())
	})
}

// CA-12: who looked just before the answer came, and asks just after, is told of it too.
func TestCA12Latecomer(t *testing.T) {
	for name, answer := range map[string]*upstream{
		"accepted": answers(oauthztest.Claims{"sub": "alice"}), "refused": failsWith(oauthz.ErrInvalidToken),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var late atomic.Bool
				hold := make(chan struct{})
				c := newCache(t, answer, cache.Config{Now: func() time.Time {
					if late.CompareAndSwap(true, false) {
						defer func() { <-hold }()
						return time.Now()
					}
					return time.Now().Add(time.Millisecond)
				}})
				var first, second error
				var clients sync.WaitGroup
				late.Store(true)
				clients.Go(func() { _, second = c.Introspect(t.Context(), "token") })
				synctest.Wait()
				_, first = c.Introspect(t.Context(), "token")
				close(hold)
				clients.Wait()
				assert.Equal(t, int64(1), answer.calls.Load())
				assert.Equal(t, first, second)
			})
		})
	}
}

// CA-13: the one who asked first goes away; the others get their answer.
func TestCA13LeaderGoesAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &upstream{answer: func(ctx context.Context, _ string) (*oauthz.Token, error) {
			select {
			case <-time.After(time.Second):
				return oauthztest.Token(nil), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		c := newCache(t, next, cache.Config{})
		leader, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := c.Introspect(leader, "token")
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		var good atomic.Int64
		for range 999 {
			all.Go(func() {
				if _, err := c.Introspect(t.Context(), "token"); err == nil {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		t.Logf("first caller cancelled: %d of 999 got the answer, %d calls", good.Load(), next.calls.Load())
		assert.Equal(t, int64(999), good.Load())
		assert.Equal(t, int64(1), next.calls.Load())
	})
}

// When all have gone, the call goes too (IN-29), and who comes then is not told
// that it was cancelled.
func TestLastOneOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{}, 2)
		next := &upstream{}
		next.answer = func(ctx context.Context, _ string) (*oauthz.Token, error) {
			if next.calls.Load() > 1 {
				return oauthztest.Token(nil), nil
			}
			<-ctx.Done()
			ended <- struct{}{}
			<-time.After(time.Second) // slow to go
			return nil, ctx.Err()
		}
		c := newCache(t, next, cache.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = c.Introspect(ctx, "token") }()
		synctest.Wait()
		cancel()
		<-ended
		assert.Equal(t, fresh, request(t, c, "token"))
	})
}

// CA-14: a handler that changes its token changes nobody else's.
func TestCA14HandlersHaveCopies(t *testing.T) {
	t.Parallel()
	c := newCache(t, answers(oauthztest.Claims{"scope": "a"}), cache.Config{})
	guard, err := oauthz.New(oauthz.Config{Introspector: c})
	require.NoError(t, err)
	h := guard.Protect(oauthz.Require("a"))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		token.Scopes[0], token.Subject = "admin", "root"
	}))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer token")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			assert.Equal(t, 200, w.Code)
		})
	}
	all.Wait()
	got, err := c.Introspect(t.Context(), "token")
	require.NoError(t, err)
	assert.Equal(t, "user-1", got.Subject)
	assert.Equal(t, oauthz.Scopes{"a"}, got.Scopes)
}
