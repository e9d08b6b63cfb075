package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// While the introspector returns faults, an accepted token is served beyond its TTL:
// within StaleIfError, and not after exp.
func TestStaleIfErrorServesDuringFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
		good := next.answer
		c := newCache(t, next, cache.Config{StaleIfError: 10 * time.Minute})
		require.Equal(t, fresh, request(t, c, "token"))
		next.answer = failsWith(errors.New("reset")).answer
		advance(2 * time.Minute)
		assert.Equal(t, stale, request(t, c, "token"))
		advance(8*time.Minute + 59*time.Second)
		assert.Equal(t, stale, request(t, c, "token"))
		next.answer = good
		assert.Equal(t, fresh, request(t, c, "token"), "called on every request")
		next.answer = failsWith(errors.New("reset")).answer
		advance(11 * time.Minute)
		assert.Equal(t, 503, request(t, c, "token").status, "beyond StaleIfError")
		assert.Equal(t, 503, request(t, c, "another").status, "never accepted before")
	})
}

// The time is taken after the introspector has failed, not before the call.
func TestStaleIfErrorAfterASlowFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"exp": time.Now().Add(2 * time.Minute)})
		c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
		require.Equal(t, fresh, request(t, c, "token"))
		next.answer = func(context.Context, string) (*oauthz.Token, error) {
			<-time.After(5 * time.Second)
			return nil, errors.New("timeout")
		}
		advance(117 * time.Second)
		assert.Equal(t, 503, request(t, c, "token").status)
	})
}

func TestRefusalIsNeverServedStale(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{oauthz.ErrInactive, oauthz.ErrInvalidToken, temporary{oauthz.ErrInvalidToken}, oauthz.ErrUnrecognized} {
		synctest.Test(t, func(t *testing.T) {
			next := answers(nil)
			c := newCache(t, next, cache.Config{StaleIfError: time.Hour})
			require.Equal(t, fresh, request(t, c, "token"))
			next.answer = failsWith(refusal).answer
			advance(2 * time.Minute)
			assert.Equal(t, 401, request(t, c, "token").status)
		})
	}
}

func TestStaleIfErrorIsOffByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{})
		require.Equal(t, fresh, request(t, c, "token"))
		next.answer = failsWith(errors.New("reset")).answer
		advance(time.Minute)
		assert.Equal(t, 503, request(t, c, "token").status)
	})
}

// The Guard checks the proof of possession of a bound token on every request.
func TestBindingIsCheckedOnEveryRequest(t *testing.T) {
	t.Parallel()
	c := newCache(t, answers(oauthztest.Claims{"cnf": map[string]string{"jkt": "x"}}), cache.Config{})
	for range 2 {
		assert.Equal(t, 401, request(t, c, "token").status)
	}
}

// A cache does not print tokens.
func TestCacheDoesNotPrintTokens(t *testing.T) {
	t.Parallel()
	c := newCache(t, answers(nil), cache.Config{})
	require.Equal(t, fresh, request(t, c, "c4n4ry"))
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %+v", c, c, c, c.Stats()), "c4n4ry")
}

// The second valid encoding of an ES256 token is another string with an entry of its
// own. A revocation names claims, so it covers both encodings.
func TestRevocationCoversBothEncodings(t *testing.T) {
	t.Parallel()
	next := answers(oauthztest.Claims{"jti": "j"})
	c := newCache(t, next, cache.Config{})
	var revocations oauthz.MemoryRevocations
	checked, err := oauthz.CheckRevoked(c, &revocations)
	require.NoError(t, err)
	for _, encoding := range []string{"low-s", "high-s"} {
		require.Equal(t, 204, request(t, checked, encoding).status)
	}
	assert.Equal(t, int64(2), next.calls.Load())
	require.NoError(t, revocations.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "https://issuer.example", "jti": "j"}}))
	for _, encoding := range []string{"low-s", "high-s"} {
		assert.Equal(t, 401, request(t, checked, encoding).status)
	}
}

// Withdrawing a key ends the entries of the tokens that it verified, stale or not.
func TestWithdrawnKeyEndsEntries(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(as.Close)
	in, err := localjwt.New(t.Context(), localjwt.Config{
		Issuer: as.Issuer(), Audience: []string{"https://api.example"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	c := newCache(t, in, cache.Config{TTL: time.Hour, StaleIfError: time.Hour})
	token := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Minute), "exp": time.Now().Add(time.Hour)})
	require.Equal(t, fresh, request(t, c, token))
	require.Equal(t, remembered, request(t, c, token))
	old := as.Keys()[0]
	as.Rotate()
	as.Withdraw(old)
	require.Equal(t, 204, request(t, c, as.Mint(nil)).status) // fetches the new key set
	assert.Equal(t, 401, request(t, c, token).status)
}

// RefreshAhead refreshes a busy token in the background.
func TestRefreshAheadRefreshesInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(nil)
		c := newCache(t, next, cache.Config{TTL: time.Minute, RefreshAhead: 10 * time.Second})
		require.Equal(t, fresh, request(t, c, "token"))
		advance(49 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		synctest.Wait()
		require.Equal(t, int64(1), next.calls.Load())
		advance(2 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		synctest.Wait()
		require.Equal(t, int64(2), next.calls.Load())
		advance(30 * time.Second)
		assert.Equal(t, remembered, request(t, c, "token"), "the request did not wait")
		next.answer = failsWith(oauthz.ErrInactive).answer
		advance(25 * time.Second)
		require.Equal(t, remembered, request(t, c, "token"))
		synctest.Wait()
		assert.Equal(t, 401, request(t, c, "token").status, "a refusal of the refresh removes the entry at once")
	})
}

func TestConfigMistakesAreReported(t *testing.T) {
	t.Parallel()
	var none *upstream
	var list oauthz.MemoryRevocations
	checked, err := oauthz.CheckRevoked(answers(nil), &list)
	require.NoError(t, err)
	chain, err := oauthz.FirstOf(answers(nil), checked)
	require.NoError(t, err)
	const uncacheable = "cache: config: the introspector contains CheckRevoked, which must run on every request: put CheckRevoked around the cache"
	tests := []struct {
		name string
		next oauthz.Introspector
		cfg  cache.Config
		want string
	}{
		{"nil", nil, cache.Config{}, "cache: config: the introspector is nil"},
		{"typed nil", none, cache.Config{}, "cache: config: the introspector is nil"},
		{"nil function", oauthz.IntrospectorFunc(nil), cache.Config{}, "cache: config: the introspector is nil"},
		{"CheckRevoked", checked, cache.Config{}, uncacheable},
		{"CheckRevoked in a chain", chain, cache.Config{}, uncacheable},
		{"negative MaxBytes", answers(nil), cache.Config{MaxBytes: -1}, "cache: config: MaxTokens or MaxBytes is negative"},
		{"negative", answers(nil), cache.Config{MaxTokens: -1, TTL: -1}, "cache: config: MaxTokens or MaxBytes is negative\ncache: config: TTL is negative: without a TTL, do not use a cache"},
		{"RefreshAhead equal to the TTL", answers(nil), cache.Config{RefreshAhead: time.Minute}, "cache: config: RefreshAhead: 1m0s is not less than TTL 1m0s"},
		{"RefreshAhead longer than the TTL", answers(nil), cache.Config{RefreshAhead: 61 * time.Second}, "cache: config: RefreshAhead: 1m1s is not less than TTL 1m0s"},
		{"RefreshAhead shorter than the default TTL", answers(nil), cache.Config{RefreshAhead: 59 * time.Second}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := cache.New(tt.next, tt.cfg)
			if tt.want != "" {
				assert.EqualError(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			assert.NoError(t, c.Close())
		})
	}
}

// A panic in the introspector is a fault. No caller could recover it, because the
// cache started the goroutine.
func TestPanicInTheIntrospectorIsAFault(t *testing.T) {
	t.Parallel()
	c := newCache(t, &upstream{answer: func(context.Context, string) (*oauthz.Token, error) { panic("c4n4ry") }}, cache.Config{})
	_, err := c.Introspect(t.Context(), "token")
	require.EqualError(t, err, "oauthz: server_error: panic in the introspector: string")
	assert.Equal(t, 500, request(t, c, "token").status, "as without a cache")
}

// Close cancels the calls in flight, and leaves no goroutine.
func TestCloseCancelsCallsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		next := &upstream{answer: func(ctx context.Context, _ string) (*oauthz.Token, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		c, err := cache.New(next, cache.Config{})
		require.NoError(t, err)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Introspect(context.Background(), "token")
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.Error(t, <-failed)
		_, err = c.Introspect(t.Context(), "token")
		require.EqualError(t, err, "cache: closed")
		require.NoError(t, c.Close())
	})
}

// Many users with many tokens each get their own token, under the race detector.
func TestConcurrentUsersGetTheirOwnTokens(t *testing.T) {
	t.Parallel()
	next := &upstream{answer: func(_ context.Context, token string) (*oauthz.Token, error) {
		return oauthztest.Token(oauthztest.Claims{"sub": token}), nil
	}}
	c := newCache(t, next, cache.Config{MaxTokens: 10})
	guard, err := oauthz.New(oauthz.Config{Introspector: c})
	require.NoError(t, err)
	var crossed atomic.Int64
	done := make(chan struct{})
	for n := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 500 {
				user := fmt.Sprint("user-", (n*7+i)%20)
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				r.Header.Set("Authorization", "Bearer "+user)
				authorized, err := guard.Authorize(r, oauthz.Require())
				if err != nil {
					crossed.Add(1)
					continue
				}
				if token, _ := oauthz.TokenFrom(authorized.Context()); token.Subject != user {
					crossed.Add(1)
				}
				if i%50 == 0 {
					c.Forget(user)
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
	assert.Zero(t, crossed.Load())
}
