package localjwt_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// The fetching ends with the context of New. After it nothing would notice that
// a key is withdrawn, so the keys serve until they are due to be fetched and no
// longer, whatever MaxStale permits during an outage.
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
	assert.Equal(t, status, ask(t, in, token).status)
	assert.Equal(t, status, ask(t, both, token).status)
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

// Keys that were too old when the context ended are not served again, and an
// introspector without keys stays without.
func TestContextThatEndsDuringAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		ctx, cancel := context.WithCancel(t.Context())
		in, err := localjwt.New(ctx, as.config())
		require.NoError(t, err)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		as.answer(fixed(500, ""))
		without, err := localjwt.New(ctx, as.config())
		require.NoError(t, err)
		token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(24 * time.Hour)})
		remembered, err := in.Introspect(t.Context(), token)
		require.NoError(t, err)
		pass(time.Hour)
		require.Equal(t, ok, ask(t, in, token), "during the outage")
		cancel()
		pass(time.Second)
		assert.Equal(t, 503, ask(t, in, token).status)
		_, live := remembered.Validity()
		assert.False(t, live)
		assert.Equal(t, 503, ask(t, without, token).status)
		assert.Error(t, without.Ready())
	})
}

// Keys that come after the end of the context are not used: nothing would ever
// withdraw them.
func TestKeysThatComeAfterTheContext(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(*http.Request) *http.Response {
			<-time.After(time.Second) // whatever the request's context does
			return reply(200, string(as.JWKS()))
		})
		ctx, cancel := context.WithCancel(t.Context())
		in, err := localjwt.New(ctx, as.config())
		require.NoError(t, err)
		cancel()
		pass(2 * time.Second)
		require.Equal(t, int64(1), as.fetches.Load())
		assert.Error(t, in.Ready())
		assert.Equal(t, 503, ask(t, in, as.Mint(nil)).status)
	})
}

// ByIssuer is ready if one of its introspectors is.
func TestByIssuerIsReadyIfOneIs(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		up := as.introspector(t)
		as.answer(func(r *http.Request) *http.Response {
			if r.URL.Host == "down.example" {
				return reply(500, "")
			}
			return reply(200, string(as.JWKS()))
		})
		down := as.introspector(t, func(c *localjwt.Config) {
			c.Issuer, c.JWKSURL = "https://down.example", "https://down.example/jwks"
		})
		pass(time.Minute)
		both, err := localjwt.ByIssuer(down, up)
		require.NoError(t, err)
		assert.NoError(t, ready(both))
		alone, err := localjwt.ByIssuer(down)
		require.NoError(t, err)
		assert.ErrorIs(t, ready(alone), oauthz.ErrUnavailable)
	})
}
