package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
)

// Each test in this file fails if one check of the cache is missing.

// waitForCancel answers when its context is canceled.
func waitForCancel(ctx context.Context, _ string) (*oauthz.Token, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A caller whose context ends gets a fault that wraps the error of the context, and no
// stale answer, because the introspector has not failed.
func TestCanceledCallerGetsNoStaleAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
		require.Equal(t, fresh, request(t, c, "token"))
		next.answer = waitForCancel
		advance(2 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Introspect(ctx, "token")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, oauthz.ErrUnavailable)
		assert.Zero(t, c.Stats().Stale)
	})
}

// An entry with a time in the future is not served stale either.
func TestStaleIfErrorWithAClockSetBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	next := answers(nil)
	c := newCache(t, next, cache.Config{Now: func() time.Time { return now }, StaleIfError: time.Hour})
	require.Equal(t, fresh, request(t, c, "token"))
	next.answer = failsWith(errors.New("reset")).answer
	now = now.Add(-time.Second)
	assert.Equal(t, 503, request(t, c, "token").status)
	now = now.Add(time.Hour)
	assert.Equal(t, stale, request(t, c, "token"))
}

// The status of an error decides whether it is a fault.
func TestStatusDecidesFault(t *testing.T) {
	t.Parallel()
	for status, isFault := range map[int]bool{400: false, 403: false, 500: true, 503: true} {
		synctest.Test(t, func(t *testing.T) {
			next := answers(nil)
			c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
			require.Equal(t, fresh, request(t, c, "token"))
			next.answer = failsWith(&oauthz.Error{Status: status, Err: errors.New("of the introspector")}).answer
			advance(2 * time.Minute)
			_, err := c.Introspect(t.Context(), "token")
			assert.Equal(t, isFault, err == nil, status)
		})
	}
}

type permanent struct{ error }

func (permanent) Temporary() bool { return false }
func (e permanent) Unwrap() error { return e.error }

// A refusal whose Temporary method returns false is remembered like any other.
func TestPermanentRefusalIsRemembered(t *testing.T) {
	t.Parallel()
	next := failsWith(permanent{oauthz.ErrInvalidToken})
	c := newCache(t, next, cache.Config{})
	require.Equal(t, outcome{401, oauthz.SourceFresh}, request(t, c, "token"))
	require.Equal(t, outcome{401, oauthz.SourceRemembered}, request(t, c, "token"))
	assert.Equal(t, int64(1), next.calls.Load())
}

func TestAnswerWithoutTokenAndErrorIsAFault(t *testing.T) {
	t.Parallel()
	c := newCache(t, &upstream{answer: func(context.Context, string) (*oauthz.Token, error) { return nil, nil }}, cache.Config{})
	_, err := c.Introspect(t.Context(), "token")
	assert.EqualError(t, err, "cache: introspector returned neither a token nor an error")
}

// A token has an entry either as accepted or as refused, never both, and no entry for
// a refusal if refusals are not remembered.
func TestTokenHasOneEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := failsWith(oauthz.ErrInactive)
		c, withoutRefusals := newCache(t, next, cache.Config{}), newCache(t, next, cache.Config{NegativeTTL: -1})
		require.Equal(t, 401, request(t, c, "token").status)
		require.Equal(t, 401, request(t, withoutRefusals, "token").status)
		assert.Equal(t, 1, c.Stats().Refusals)
		assert.Zero(t, withoutRefusals.Stats().Refusals)
		next.answer = answers(nil).answer
		advance(5 * time.Second)
		require.Equal(t, fresh, request(t, c, "token"))
		assert.Equal(t, []int{1, 0}, []int{c.Stats().Tokens, c.Stats().Refusals})
		next.answer = failsWith(oauthz.ErrInactive).answer
		advance(time.Minute)
		require.Equal(t, 401, request(t, c, "token").status)
		assert.Equal(t, []int{0, 1}, []int{c.Stats().Tokens, c.Stats().Refusals})
	})
}

// Requests in flight get their answer after Forget or Purge, but it is not remembered.
// The answers of other tokens are.
func TestForgottenCallsAreNotRemembered(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*cache.Cache){
		"Forget": func(c *cache.Cache) { c.Forget("token") },
		"Purge":  func(c *cache.Cache) { c.Purge() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := answers(nil)
				good := next.answer
				next.answer = func(ctx context.Context, token string) (*oauthz.Token, error) {
					<-time.After(time.Second)
					return good(ctx, token)
				}
				c := newCache(t, next, cache.Config{})
				for _, token := range []string{"token", "other"} {
					go func() { assert.Equal(t, fresh, request(t, c, token)) }()
				}
				synctest.Wait()
				forget(c)
				advance(time.Second)
				other := remembered
				if name == "Purge" {
					other = fresh
				}
				assert.Equal(t, other, request(t, c, "other"))
				assert.Equal(t, fresh, request(t, c, "token"))
			})
		})
	}
}

// The end of a forgotten call does not affect the call that started after it: a later
// request joins the newer call.
func TestEndOfAForgottenCallKeepsTheNewerCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		good := next.answer
		next.answer = func(ctx context.Context, token string) (*oauthz.Token, error) {
			<-time.After(10 * time.Second)
			return good(ctx, token)
		}
		c := newCache(t, next, cache.Config{})
		ask := func() { assert.Equal(t, 204, request(t, c, "token").status) }
		go ask()
		advance(time.Second)
		c.Forget("token")
		go ask()
		advance(9 * time.Second) // the first call has ended
		go ask()
		advance(time.Second) // the second call has ended
		assert.Equal(t, int64(2), next.calls.Load())
		assert.Equal(t, remembered, request(t, c, "token"))
	})
}

// Close waits for calls in flight, and removes all entries.
func TestCloseWaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"scope": "a"})
		c, err := cache.New(next, cache.Config{})
		require.NoError(t, err)
		require.Equal(t, fresh, request(t, c, "token"))
		ended := false
		next.answer = func(ctx context.Context, _ string) (*oauthz.Token, error) {
			<-ctx.Done()
			<-time.After(time.Second) // slow to end
			ended = true
			return nil, ctx.Err()
		}
		go func() { assert.Equal(t, 503, request(t, c, "another").status) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.True(t, ended)
		assert.Zero(t, c.Stats().Tokens)
		_, err = c.Introspect(t.Context(), "token")
		assert.EqualError(t, err, "cache: closed")
	})
}

func TestStatsCountRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
		require.Equal(t, fresh, request(t, c, "token"))
		require.Equal(t, remembered, request(t, c, "token"))
		next.answer = failsWith(oauthz.ErrInactive).answer
		require.Equal(t, outcome{401, oauthz.SourceFresh}, request(t, c, "bad"))
		require.Equal(t, outcome{401, oauthz.SourceRemembered}, request(t, c, "bad"))
		next.answer = failsWith(errors.New("reset")).answer
		advance(time.Minute)
		require.Equal(t, stale, request(t, c, "token"))
		got := c.Stats()
		assert.Positive(t, got.Bytes)
		got.Bytes = 0
		assert.Equal(t, cache.Stats{Hits: 2, Misses: 3, Stale: 1, Calls: 3, Tokens: 1, Refusals: 1}, got)
	})
}
