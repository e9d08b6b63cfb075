package localjwt_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// The fetching ends with the context of New. After that, the introspector does not
// notice that a key is withdrawn. So the keys serve until their next fetch would be
// due and no longer, whatever MaxStale permits during an outage.
func TestKeysServeTheirIntervalAfterTheContext(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*localjwt.Config)
		serving time.Duration
	}{
		"by default":        {func(*localjwt.Config) {}, 15 * time.Minute},
		"longer interval":   {func(c *localjwt.Config) { c.RefreshInterval = time.Hour }, time.Hour},
		"no end, otherwise": {func(c *localjwt.Config) { c.MaxStale = -1 }, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				ctx, cancel := context.WithCancel(t.Context())
				in, err := localjwt.New(ctx, as.config(tt.change))
				require.NoError(t, err)
				both, err := localjwt.ByIssuer(in)
				require.NoError(t, err)
				token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(24 * time.Hour)})
				remembered, err := in.Introspect(t.Context(), token)
				require.NoError(t, err)
				pass(time.Minute)
				cancel()
				fetches := as.fetches.Load()

				pass(tt.serving - time.Minute)
				assertServing(t, in, both, token, remembered, true)
				got, err := in.Introspect(t.Context(), token)
				require.NoError(t, err)
				until, _ := got.Validity()
				assert.WithinDuration(t, time.Now(), until, time.Second, "a cache may not serve it longer either")
				pass(time.Second)
				assertServing(t, in, both, token, remembered, false)
				pass(48 * time.Hour)
				assertServing(t, in, both, token, remembered, false)
				assert.Equal(t, fetches, as.fetches.Load())
			})
		})
	}
}

func assertServing(t *testing.T, in *localjwt.Introspector, both oauthz.Introspector, token string, remembered *oauthz.Token, want bool) {
	t.Helper()
	status := map[bool]int{true: 204, false: 503}[want]
	assert.Equal(t, status, send(t, in, token).status)
	assert.Equal(t, status, send(t, both, token).status)
	assert.Equal(t, want, in.Ready() == nil)
	assert.Equal(t, want, ready(both) == nil)
	_, live := remembered.Validity()
	assert.Equal(t, want, live)
	if !want {
		assert.ErrorIs(t, in.Ready(), oauthz.ErrUnavailable)
		assert.ErrorIs(t, ready(both), oauthz.ErrUnavailable)
	}
}

func ready(in oauthz.Introspector) error { return in.(interface{ Ready() error }).Ready() }

// Keys that were too old when the context ended do not serve again, and an
// introspector without keys stays without keys.
func TestContextThatEndsDuringAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		ctx, cancel := context.WithCancel(t.Context())
		in, err := localjwt.New(ctx, as.config())
		require.NoError(t, err)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		as.answer(fixed(500, ""))
		without, err := localjwt.New(ctx, as.config())
		require.NoError(t, err)
		token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(24 * time.Hour)})
		remembered, err := in.Introspect(t.Context(), token)
		require.NoError(t, err)
		pass(time.Hour)
		require.Equal(t, ok, send(t, in, token), "during the outage")
		cancel()
		pass(time.Second)
		assert.Equal(t, 503, send(t, in, token).status)
		_, live := remembered.Validity()
		assert.False(t, live)
		assert.Equal(t, 503, send(t, without, token).status)
		assert.Error(t, without.Ready())
	})
}

// Keys that arrive after the end of the context are not used, because nothing would
// withdraw them.
func TestKeysThatComeAfterTheContext(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(*http.Request) *http.Response {
			<-time.After(time.Second) // even if the context of the request ends
			return reply(200, string(as.JWKS()))
		})
		ctx, cancel := context.WithCancel(t.Context())
		in, err := localjwt.New(ctx, as.config())
		require.NoError(t, err)
		synctest.Wait() // the fetch has reached the server
		cancel()
		pass(2 * time.Second)
		require.Equal(t, int64(1), as.fetches.Load())
		assert.Error(t, in.Ready())
		assert.Equal(t, 503, send(t, in, as.Mint(nil)).status)
	})
}
