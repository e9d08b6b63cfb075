package localjwt_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// A token with an unknown key waits for a hanging endpoint no longer than
// FetchTimeout. Other tokens do not wait.
func TestUnknownKeyWaitsAtMostFetchTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, send(t, in, good))
		as.answer(hang)
		start := time.Now()
		var others sync.WaitGroup
		others.Go(func() {
			pass(time.Second)
			assert.Equal(t, ok, send(t, in, good))
			assert.Equal(t, time.Second, time.Since(start))
		})
		assert.Equal(t, 503, send(t, in, as.mintUnknown("bogus", nil)).status)
		assert.Equal(t, 4*time.Second, time.Since(start))
		others.Wait()
	})
}

// After a rotation, requests with the new key share one fetch, and all are
// accepted.
func TestRotationRefusesNoToken(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		before := as.fetches.Load()
		as.Rotate()
		as.answer(func(*http.Request) *http.Response {
			pass(100 * time.Millisecond) // all requests wait by then
			return reply(200, string(as.JWKS()))
		})
		token := as.Mint(nil)
		answers := make([]answer, 50)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = send(t, in, token) })
		}
		all.Wait()
		accepted := 0
		for _, a := range answers {
			if a == ok {
				accepted++
			}
		}
		t.Logf("accepted %d of 50, fetches %d", accepted, as.fetches.Load()-before)
		assert.Equal(t, 50, accepted)
		assert.Equal(t, before+1, as.fetches.Load())
	})
}

// When the client that caused a fetch disconnects, the fetch goes on, and the other
// waiting requests get its result.
func TestFetchOutlivesTheRequestThatCausedIt(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		as.Rotate()
		token := as.Mint(nil)
		release := make(chan struct{})
		as.answer(func(*http.Request) *http.Response {
			<-release
			return reply(200, string(as.JWKS()))
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := in.Introspect(ctx, token)
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() { assert.Equal(t, ok, send(t, in, token)) })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		all.Wait()
	})
}

// A fetch that was running may have missed a key, so the token causes one more. A
// token that was issued during a fetch counts as issued after it.
func TestKeyPublishedDuringAFetch(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		slow := func(*http.Request) *http.Response {
			set := string(as.JWKS())
			<-time.After(3 * time.Second)
			return reply(200, set)
		}
		as.answer(slow)
		in := as.introspector(t)
		pass(time.Second)
		as.Rotate()
		require.Equal(t, ok, send(t, in, as.Mint(nil)), "the second fetch brings the key")
		require.Equal(t, int64(2), as.fetches.Load())
		pass(time.Minute + 500*time.Millisecond)
		go func() { assert.Equal(t, refused, send(t, in, as.mintUnknown("bogus", nil))) }()
		sameSecond := as.mintUnknown("another", nil)
		pass(time.Second)
		as.Rotate()
		during := as.Mint(nil)
		pass(2 * time.Second)
		assert.Equal(t, unavailable("2"), send(t, in, during))
		assert.Equal(t, unavailable("2"), send(t, in, sameSecond))
	})
}

// A fetch may end after a request has looked for its key and before it waits for
// newer keys. Then the keys of that fetch are tried before the request is refused.
func TestFetchThatEndsDuringALookup(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var in *localjwt.Introspector
		var between func()
		in = as.introspector(t, func(cfg *localjwt.Config) {
			cfg.Now = func() time.Time {
				if f := between; f != nil { // the request has looked at the old keys
					between = nil
					f()
				}
				return time.Now()
			}
		})
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Minute)
		as.Rotate()
		token := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-10 * time.Second)})
		between = func() { assert.Equal(t, ok, send(t, in, token)) }
		assert.Equal(t, ok, send(t, in, token))
		assert.Nil(t, between)
	})
}

// A refusal for an unknown key is not remembered.
func TestRefusalForUnknownKeyIsNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Minute)
		kid := as.RotateUnpublished()
		token := as.Mint(nil)
		require.Equal(t, refused, send(t, in, token))
		pass(time.Second)
		as.Publish(kid)
		pass(5 * time.Second)
		assert.Equal(t, ok, send(t, in, token))
	})
}

// In a key set without names, a rotation is noticed when no key verifies a token.
func TestRotationWithoutKeyNames(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		unnamed := func(*http.Request) *http.Response {
			return reply(200, strings.ReplaceAll(string(as.JWKS()), `"kid":`, `"x-kid":`))
		}
		as.answer(unnamed)
		in := as.introspector(t)
		mint := func() string { return as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent)) }
		require.Equal(t, ok, send(t, in, mint()))
		pass(time.Minute)
		old := as.Keys()[0]
		as.Rotate()
		as.Withdraw(old)
		assert.Equal(t, ok, send(t, in, mint()))
	})
}

// A clock that is set back does not lock out a new key.
func TestClockThatIsSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var ahead atomic.Int64
		in := as.introspector(t, func(cfg *localjwt.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		ahead.Store(int64(time.Hour))
		require.NotEqual(t, ok, send(t, in, as.mintUnknown("bogus", nil)))
		ahead.Store(0)
		as.Rotate()
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
	})
}

// A refusal for an unknown key is temporary only if the key alone is missing.
func TestRefusalForUnknownKeyIsTemporaryOnlyForGoodClaims(t *testing.T) {
	t.Parallel()
	as, in := fixedIssuer(t)
	for name, tt := range map[string]struct {
		claims oauthztest.Claims
		want   bool
	}{
		"good claims":    {nil, true},
		"valid later":    {oauthztest.Claims{"nbf": at(time.Hour)}, true},
		"other audience": {oauthztest.Claims{"aud": "https://other.example"}, false},
		"expired":        {oauthztest.Claims{"exp": at(-time.Hour)}, false},
		"malformed":      {oauthztest.Claims{"exp": "soon"}, false},
	} {
		_, err := in.Introspect(t.Context(), as.Mint(tt.claims, oauthztest.WithHeader("kid", "bogus")))
		require.ErrorIs(t, err, oauthz.ErrInvalidToken, name)
		var temporary interface{ Temporary() bool }
		assert.Equal(t, tt.want, errors.As(err, &temporary) && temporary.Temporary(), name)
	}
}
