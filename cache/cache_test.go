package cache_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
)

// The cache remembers the claims of a token; the Guard checks the requirement on every request.
func TestRequirementIsCheckedOnEveryRequest(t *testing.T) {
	t.Parallel()
	c := newCache(t, answers(oauthztest.Claims{"scope": "a"}), cache.Config{})
	require.Equal(t, fresh, request(t, c, "token", oauthz.Require("a")))
	assert.Equal(t, outcome{403, oauthz.SourceRemembered}, request(t, c, "token", oauthz.Require("b")))
	assert.Equal(t, remembered, request(t, c, "token", oauthz.Require("a")))
}

// Two caches share no entries.
func TestCachesShareNoEntries(t *testing.T) {
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

// Tokens that look similar, or contain bytes that could delimit a key, have separate entries.
func TestSimilarTokensHaveSeparateEntries(t *testing.T) {
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

// Refusals are remembered for a short time, faults are not remembered.
func TestRefusalsAreRememberedAndFaultsAreNot(t *testing.T) {
	t.Parallel()
	unavailable := &oauthz.Error{Status: 503, Err: oauthz.ErrUnavailable}
	tests := []struct {
		name  string
		err   error
		calls int64 // calls for three requests
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

func TestNegativeTTLDisablesRefusals(t *testing.T) {
	t.Parallel()
	next := failsWith(oauthz.ErrInactive)
	c := newCache(t, next, cache.Config{NegativeTTL: -1})
	for range 3 {
		_, err := c.Introspect(t.Context(), "token")
		require.ErrorIs(t, err, oauthz.ErrInactive)
	}
	assert.Equal(t, int64(3), next.calls.Load())
}

// Junk tokens take bounded memory, and do not evict a valid token that is in use.
// BenchmarkJunk does the same with a million tokens.
func TestJunkDoesNotEvictValidTokens(t *testing.T) {
	t.Parallel()
	c, next := cacheAfterJunk(t, 30_000)
	stats := c.Stats()
	assert.LessOrEqual(t, stats.Refusals, 10_100)
	assert.Equal(t, 1, stats.Tokens)
	before := next.calls.Load()
	assert.Equal(t, remembered, request(t, c, "good"))
	assert.Equal(t, before, next.calls.Load(), "no call")
}

// Valid tokens are bounded too, in number and in bytes.
func TestValidTokensAreBounded(t *testing.T) {
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

// An entry ends with its token, and an expired token is not remembered.
func TestEntryEndsWithTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"exp": time.Now().Add(10 * time.Second)})
		c := newCache(t, next, cache.Config{TTL: 5 * time.Minute})
		require.Equal(t, fresh, request(t, c, "token"))
		advance(9 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		advance(time.Second)
		assert.Equal(t, outcome{401, oauthz.SourceFresh}, request(t, c, "token"))
		assert.Equal(t, int64(2), next.calls.Load())
		assert.Equal(t, outcome{401, oauthz.SourceFresh}, request(t, c, "token"), "not remembered: it had expired")
		assert.Equal(t, int64(3), next.calls.Load())
	})
}

// The TTL ends the entry of a token without an expiry.
func TestEntryEndsWithTheTTL(t *testing.T) {
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

// A token that is revoked only at the server is accepted until the TTL ends; after
// Forget or Purge it is refused at once. Both also remove refusals. Forget removes
// only the entry of its token.
func TestForgetAndPurgeRemoveEntries(t *testing.T) {
	t.Parallel()
	accepts, refuses := answers(nil).answer, failsWith(oauthz.ErrInactive).answer
	forget, purge := func(c *cache.Cache) { c.Forget("token") }, func(c *cache.Cache) { c.Purge() }
	for name, tt := range map[string]struct {
		before, after func(context.Context, string) (*oauthz.Token, error)
		remove        func(*cache.Cache)
		token, other  outcome
	}{
		"Forget, accepted": {accepts, refuses, forget, outcome{401, oauthz.SourceFresh}, remembered},
		"Forget, refused":  {refuses, accepts, forget, fresh, outcome{401, oauthz.SourceRemembered}},
		"Purge, accepted":  {accepts, refuses, purge, outcome{401, oauthz.SourceFresh}, outcome{401, oauthz.SourceFresh}},
		"Purge, refused":   {refuses, accepts, purge, fresh, fresh},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := &upstream{answer: tt.before}
			c := newCache(t, next, cache.Config{})
			for _, token := range []string{"token", "other"} {
				require.Equal(t, oauthz.SourceFresh, request(t, c, token).source)
			}
			next.answer = tt.after
			require.Equal(t, oauthz.SourceRemembered, request(t, c, "token").source)
			tt.remove(c)
			assert.Equal(t, tt.token, request(t, c, "token"))
			assert.Equal(t, tt.other, request(t, c, "other"))
		})
	}
}

// A clock that is set back does not extend an entry.
func TestClockSetBackDoesNotExtendAnEntry(t *testing.T) {
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

// A handler that changes its token does not change the token of another request.
func TestHandlersGetCopies(t *testing.T) {
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
