package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
)

// Each test in this file ends an entry and checks that it does not come back.

// The answer of a call that no request waits for may be older than a newer answer: it
// is not remembered.
func TestAbandonedAnswerIsNotRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		next := &upstream{}
		next.answer = func(context.Context, string) (*oauthz.Token, error) {
			if next.calls.Load() == 1 {
				<-release // ignores its context
				return oauthztest.Token(nil), nil
			}
			return nil, oauthz.ErrInactive
		}
		c := newCache(t, next, cache.Config{NegativeTTL: -1})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = c.Introspect(ctx, "token") }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		require.Equal(t, 401, request(t, c, "token").status)
		close(release)
		synctest.Wait()
		assert.Equal(t, 401, request(t, c, "token").status)
	})
}

// A refusal of any kind removes the entry of the token: a fault after it does not
// bring the entry back.
func TestRefusalRemovesTheEntry(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{
		"invalid":      oauthz.ErrInvalidToken,
		"temporary":    temporary{oauthz.ErrInvalidToken},
		"unrecognized": oauthz.ErrUnrecognized,
		"Error 401":    &oauthz.Error{Status: 401, Code: "invalid_token"},
		"Error 403":    &oauthz.Error{Status: 403, Code: "insufficient_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := answers(nil)
				c := newCache(t, next, cache.Config{StaleIfError: time.Hour, NegativeTTL: -1})
				require.Equal(t, fresh, request(t, c, "token"))
				advance(2 * time.Minute)
				next.answer = failsWith(refusal).answer
				require.NotEqual(t, 204, request(t, c, "token").status)
				next.answer = failsWith(errors.New("reset")).answer
				assert.Equal(t, 503, request(t, c, "token").status)
			})
		})
	}
}

// The status of an *oauthz.Error decides whether it is a fault, regardless of the error that it wraps, as in a Guard.
func TestFaultThatWrapsARefusalIsAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
		require.Equal(t, fresh, request(t, c, "token"))
		advance(2 * time.Minute)
		next.answer = failsWith(&oauthz.Error{Status: 503, Err: fmt.Errorf("our own token: %w", oauthz.ErrInvalidToken)}).answer
		assert.Equal(t, stale, request(t, c, "token"))
		assert.Equal(t, 503, request(t, c, "other").status)
		next.answer = answers(nil).answer
		assert.Equal(t, 204, request(t, c, "other").status, "not remembered")
	})
}

// An entry that is forgotten while the introspector fails is not served.
func TestEntryForgottenDuringAFaultIsNotServed(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*cache.Cache){
		"Forget": func(c *cache.Cache) { c.Forget("token") },
		"Purge":  func(c *cache.Cache) { c.Purge() },
		"Close":  func(c *cache.Cache) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := answers(nil)
				c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
				require.Equal(t, fresh, request(t, c, "token"))
				advance(2 * time.Minute)
				next.answer = func(ctx context.Context, _ string) (*oauthz.Token, error) {
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
					return nil, errors.New("reset")
				}
				var all sync.WaitGroup
				all.Go(func() { assert.Equal(t, 503, request(t, c, "token").status) })
				synctest.Wait()
				forget(c)
				all.Wait()
			})
		})
	}
}

// A stale token ends at its exp. The leeway of an introspector does not extend it,
// because a leeway applies only to tokens that have just been validated.
func TestStaleIfErrorEndsAtExp(t *testing.T) {
	t.Parallel()
	for name, leeway := range map[string]time.Duration{"without leeway": 0, "with leeway": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				exp := time.Now().Add(2 * time.Minute)
				next := &upstream{answer: func(context.Context, string) (*oauthz.Token, error) {
					token := oauthztest.Token(oauthztest.Claims{"exp": exp})
					if leeway > 0 {
						token.SetVerdict(oauthz.Verdict{Leeway: leeway})
					}
					return token, nil
				}}
				c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
				require.Equal(t, fresh, request(t, c, "token"))
				next.answer = failsWith(errors.New("reset")).answer
				advance(119 * time.Second)
				require.Equal(t, stale, request(t, c, "token"))
				advance(time.Second)
				assert.Equal(t, 503, request(t, c, "token").status)
			})
		})
	}
}

// While the server returns faults, RefreshAhead calls it now and then, not on every request.
func TestRefreshAheadLimitsCallsDuringFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{TTL: time.Minute, RefreshAhead: 20 * time.Second})
		require.Equal(t, fresh, request(t, c, "token"))
		next.answer = failsWith(errors.New("reset")).answer
		advance(41 * time.Second)
		for range 1000 {
			require.Equal(t, remembered, request(t, c, "token"))
			synctest.Wait()
		}
		assert.Equal(t, int64(2), next.calls.Load())
		advance(5 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		synctest.Wait()
		assert.Equal(t, int64(3), next.calls.Load())
	})
}

// A clock that is set back does not extend the entry of a refusal.
func TestClockSetBackDoesNotExtendARefusal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	next := failsWith(oauthz.ErrInactive)
	c := newCache(t, next, cache.Config{Now: func() time.Time { return now }})
	_, err := c.Introspect(t.Context(), "token")
	require.ErrorIs(t, err, oauthz.ErrInactive)
	now = now.Add(-time.Hour)
	next.answer = answers(nil).answer
	assert.Equal(t, fresh, request(t, c, "token"))
}

// An introspector that ends its goroutine, as t.FailNow does, does not block a request.
func TestGoexitInTheIntrospectorIsAFault(t *testing.T) {
	t.Parallel()
	next := &upstream{answer: func(context.Context, string) (*oauthz.Token, error) {
		runtime.Goexit()
		return nil, nil
	}}
	c := newCache(t, next, cache.Config{})
	for range 2 {
		_, err := c.Introspect(t.Context(), "token")
		require.EqualError(t, err, "cache: the introspector ended its goroutine")
	}
}

// Close is safe while requests are in flight.
func TestCloseDuringRequests(t *testing.T) {
	t.Parallel()
	for range 50 {
		c, err := cache.New(answers(nil), cache.Config{})
		require.NoError(t, err)
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() { _, _ = c.Introspect(t.Context(), fmt.Sprint(n)) })
		}
		all.Go(func() { assert.NoError(t, c.Close()) })
		all.Wait()
	}
}
