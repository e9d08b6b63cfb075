package localjwt_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// A refresh that hangs does not delay a token whose key is known.
func TestKnownKeyNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.FetchTimeout = 10 * time.Minute })
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		as.answer(hang)
		pass(16 * time.Minute) // a refresh is running
		require.Equal(t, int64(2), as.fetches.Load())
		start := time.Now()
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		assert.Zero(t, time.Since(start))
	})
}

// A withdrawn key verifies nothing, and the tokens that it verified are no longer
// live. Keys that stay are not affected.
func TestWithdrawnKeyVerifiesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		old := as.Keys()[0]
		token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
		remembered, err := in.Introspect(t.Context(), token)
		require.NoError(t, err)
		as.Rotate()
		kept, err := in.Introspect(t.Context(), as.Mint(nil))
		require.NoError(t, err)
		_, live := remembered.Validity()
		require.True(t, live)

		as.Withdraw(old)
		pass(16 * time.Minute)
		assert.Equal(t, refused, send(t, in, token))
		_, live = remembered.Validity()
		assert.False(t, live)
		_, live = kept.Validity()
		assert.True(t, live)
	})
}

// The last good keys serve through an outage until they are too old. Then every
// token gets 503, until the issuer is up.
func TestKeysServeThroughAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		as.answer(fixed(500, "down"))
		pass(24*time.Hour - time.Minute)
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		assert.NoError(t, in.Ready())
		token, err := in.Introspect(t.Context(), as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)}))
		require.NoError(t, err)
		until, _ := token.Validity()
		assert.WithinDuration(t, time.Now().Add(time.Minute), until, time.Second, "a cache may not serve it longer either")
		pass(2 * time.Minute)
		assert.Equal(t, 503, send(t, in, as.Mint(nil)).status)
		assert.Error(t, in.Ready())
		as.answer(nil)
		pass(31 * time.Second)
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		assert.NoError(t, in.Ready())
	})
}

// If the issuer is down at the start, New does not fail and no token is refused.
// The keys are found when the issuer is up, without a request that causes a fetch.
func TestIssuerDownAtStart(t *testing.T) {
	for name, opts := range map[string][]oauthztest.MintOption{
		"with kid":    nil,
		"without kid": {oauthztest.WithHeader("kid", oauthztest.Absent)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(fixed(502, ""))
				in := as.introspector(t)
				assert.Equal(t, 503, send(t, in, as.Mint(nil, opts...)).status)
				assert.Error(t, in.Ready())
				pass(7 * time.Second)
				assert.Equal(t, 503, send(t, in, as.Mint(nil, opts...)).status)
				as.answer(nil)
				pass(5 * time.Second)
				require.NoError(t, in.Ready())
				fetches := as.fetches.Load()
				assert.Equal(t, ok, send(t, in, as.Mint(nil, opts...)))
				assert.Equal(t, fetches, as.fetches.Load(), "the keys were there already")
			})
		})
	}
}

// Keys without a MaxStale serve without an end. Other keys serve exactly until
// MaxStale.
func TestAgeOfTheKeys(t *testing.T) {
	for age, last := range map[time.Duration]time.Duration{-1: 48 * time.Hour, time.Hour: time.Hour} {
		t.Run(age.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t, func(cfg *localjwt.Config) { cfg.MaxStale, cfg.RefreshInterval = age, time.Hour })
				require.Equal(t, ok, send(t, in, as.Mint(nil)))
				as.answer(fixed(500, ""))
				pass(last)
				exp := time.Now().Add(time.Hour)
				got, err := in.Introspect(t.Context(), as.Mint(oauthztest.Claims{"exp": exp}))
				require.NoError(t, err)
				until, _ := got.Validity()
				assert.Equal(t, age < 0, until.Equal(exp.Add(time.Minute)), until)
				pass(1)
				assert.Equal(t, age < 0, in.Ready() == nil)
			})
		})
	}
}

// A server that does not answer is tried again after pauses of up to 2, 4, 8, 16
// and 30 s. Each pause is a random time between a quarter and the whole of that.
func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		interval    time.Duration
		up          bool // the server has answered before
		want, delta int  // in 10 minutes; the delta is five standard deviations
	}{
		"with keys":            {0, true, 35, 10},
		"none, short interval": {100 * time.Millisecond, false, 480, 40},
		"none, long interval":  {time.Hour, false, 35, 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(fixed(500, ""))
				in := as.introspector(t, func(c *localjwt.Config) { c.UnknownKeyInterval, c.RefreshInterval = tt.interval, 1000*time.Second })
				synctest.Wait()
				if tt.up { // the pauses start again after a recovery
					pass(time.Minute)
					as.answer(nil)
					pass(time.Minute)
					as.answer(fixed(500, ""))
					require.Equal(t, 503, send(t, in, as.mintUnknown("bogus", nil)).status)
				}
				before := as.fetches.Load()
				pass(600*time.Second - 1)
				assert.InDelta(t, tt.want, as.fetches.Load()-before, float64(tt.delta))
			})
		})
	}
}

// Cache-Control moves the next fetch, within one minute and one hour. Fetches are
// spread over the second half of that time.
func TestCacheControlMovesTheNextFetch(t *testing.T) {
	tests := []struct {
		cacheControl string
		within       [2]time.Duration // the next fetch is not before, and not after
	}{
		{"", [2]time.Duration{450 * time.Second, 15 * time.Minute}},
		{"max-age=600", [2]time.Duration{5 * time.Minute, 10 * time.Minute}},
		{"max-age=0", [2]time.Duration{30 * time.Second, time.Minute}},
		{"no-store", [2]time.Duration{30 * time.Second, time.Minute}},
		{"max-age=1000000000000", [2]time.Duration{30 * time.Minute, time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.cacheControl, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(func(*http.Request) *http.Response {
					return reply(200, string(as.JWKS()), "Cache-Control", tt.cacheControl)
				})
				as.introspector(t)
				synctest.Wait()
				require.Equal(t, int64(1), as.fetches.Load())
				pass(tt.within[0] - time.Second)
				assert.Equal(t, int64(1), as.fetches.Load(), "too early")
				pass(tt.within[1] - tt.within[0] + time.Second)
				assert.Equal(t, int64(2), as.fetches.Load(), "too late")
			})
		})
	}
}
