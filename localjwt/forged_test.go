package localjwt_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
)

// Ten thousand forged key names cause one fetch in an interval. A genuine new key
// works after at most one interval, and until then its tokens get 503, never 401.
func TestForgedKeyNamesDoNotLockOutNewKeys(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Minute)
		before := as.fetches.Load()
		forged := as.mintUnknown("forged", oauthztest.Claims{"iat": time.Now().Add(-2 * time.Minute)})
		for range 10_000 {
			require.Equal(t, refused, send(t, in, forged))
		}
		assert.Equal(t, before+1, as.fetches.Load(), "fetches for 10,000 forged names")

		pass(time.Second)
		as.Rotate()
		token := as.Mint(nil)
		retries := 0
		for start := time.Now(); ; {
			got := send(t, in, token)
			if got == ok {
				t.Logf("genuine key usable after %v, %d times 503, refused never", time.Since(start), retries)
				assert.LessOrEqual(t, time.Since(start), 5*time.Second)
				break
			}
			require.Equal(t, 503, got.status)
			retries++
			wait, err := time.ParseDuration(got.retryAfter + "s")
			require.NoError(t, err)
			pass(wait)
		}
		assert.Equal(t, 1, retries, "Retry-After is the time of the next fetch")
		assert.Equal(t, before+2, as.fetches.Load())
	})
}

// Within the interval, a token that is older than the keys is refused at once.
func TestTokenOlderThanTheKeysIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Minute)
		require.Equal(t, refused, send(t, in, as.mintUnknown("a", nil)), "the fetch that it caused decides")
		assert.Equal(t, refused, send(t, in, as.mintUnknown("b", oauthztest.Claims{"iat": time.Now().Add(-61 * time.Second)})))
		assert.Equal(t, unavailable("5"), send(t, in, as.mintUnknown("b", oauthztest.Claims{"iat": time.Now().Add(-60 * time.Second)})), "by the leeway")
		assert.Equal(t, refused, send(t, in, as.mintUnknown("c", oauthztest.Claims{"iat": oauthztest.Absent})))
		assert.Equal(t, refused, send(t, in, as.mintUnknown("d", oauthztest.Claims{"iat": "now"})))
		assert.Equal(t, unavailable("5"), send(t, in, as.mintUnknown("e", oauthztest.Claims{"iat": time.Now()})))
		pass(2 * time.Second)
		assert.Equal(t, unavailable("3"), send(t, in, as.mintUnknown("f", nil)))
	})
}

// A token that no key could verify is refused without a fetch.
func TestForgeriesCauseNoFetch(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, send(t, in, good))
		pass(time.Minute + time.Second)
		require.Equal(t, refused, send(t, in, as.mintUnknown("bogus", nil))) // now good is older than the keys
		fetches := as.fetches.Load()
		unsigned := func(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }
		for name, forged := range map[string]string{
			"known key":    unsigned(good) + b64(make([]byte, 64)...),
			"no signature": unsigned(as.mintUnknown("bogus", nil)),
			"not base64":   unsigned(as.Mint(nil)) + "!!",
			"nor a name":   unsigned(as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent))) + "!!",
			"space first":  b64([]byte(" \r\n\t"+`{"alg":"ES256","kid":"bogus"`)...) + ".e30.AA",
		} {
			_, err := in.Introspect(t.Context(), forged)
			assert.ErrorIs(t, err, oauthz.ErrInvalidToken, name)
		}
		assert.Equal(t, fetches, as.fetches.Load())
	})
	t.Run("while the keys are fetched", func(t *testing.T) {
		bubble(t, func(t *testing.T, as *issuer) {
			as.answer(func(*http.Request) *http.Response { <-time.After(time.Second); return reply(200, string(as.JWKS())) })
			in := as.introspector(t)
			old := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-61 * time.Second)})
			assert.Equal(t, refused, send(t, in, old[:strings.LastIndexByte(old, '.')+1]+b64(make([]byte, 64)...)))
			assert.Equal(t, int64(1), as.fetches.Load())
		})
	})
}

// Signatures that do not verify under a published key name cause one fetch in an
// interval. A token that is older than the keys causes none. A refusal that a new
// key of that name could make wrong is not remembered.
func TestForgedSignaturesCauseOneFetchInAnInterval(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, send(t, in, good))
		pass(time.Minute)
		before := as.fetches.Load()
		forged := forge(as.Mint(nil), good)
		_, err := in.Introspect(t.Context(), forged)
		require.ErrorIs(t, err, oauthz.ErrInvalidToken)
		var temporary interface{ Temporary() bool }
		require.ErrorAs(t, err, &temporary)
		assert.True(t, temporary.Temporary())
		for range 1000 {
			require.Equal(t, unavailable("5"), send(t, in, forged))
		}
		assert.Equal(t, before+1, as.fetches.Load())
		assert.Equal(t, ok, send(t, in, good))

		pass(time.Minute)
		for _, iat := range []any{time.Now().Add(-5 * time.Minute), oauthztest.Absent, "now"} {
			_, err = in.Introspect(t.Context(), forge(as.Mint(oauthztest.Claims{"iat": iat}), good))
			require.ErrorIs(t, err, oauthz.ErrInvalidToken)
			assert.NotErrorAs(t, err, &temporary)
		}
		assert.Equal(t, before+1, as.fetches.Load())
	})
}

// A token whose key is known is verified at once, while a bad signature under the
// same key name waits for a fetch.
func TestFailingSignatureDelaysNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, send(t, in, good))
		pass(10 * time.Minute)
		as.answer(hang)
		before, start := as.fetches.Load(), time.Now()
		go func() { assert.Equal(t, 503, send(t, in, forge(as.Mint(nil), good)).status) }()
		synctest.Wait()
		require.Equal(t, before+1, as.fetches.Load(), "it waits")
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		assert.Zero(t, time.Since(start))
		pass(5 * time.Second)
	})
}
