package localjwt_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// The keys of one issuer never verify a token of another issuer, even if the keys
// of both have the same names, or if the token names no key.
func TestKeysOfAnotherIssuerVerifyNothing(t *testing.T) {
	t.Parallel()
	a, b := server(t, oauthztest.Config{}), server(t, oauthztest.Config{})
	both, err := localjwt.ByIssuer(discovering(t, a), discovering(t, b))
	require.NoError(t, err)
	require.Equal(t, ok, send(t, both, a.Mint(nil)))
	require.Equal(t, ok, send(t, both, b.Mint(nil)))
	require.Equal(t, a.Keys(), b.Keys(), "the same names")
	for name, opts := range map[string][]oauthztest.MintOption{
		"same kid": nil, "without kid": {oauthztest.WithHeader("kid", oauthztest.Absent)},
	} {
		forged := a.Mint(oauthztest.Claims{"iss": b.Issuer(), "iat": time.Now().Add(-time.Hour)}, opts...)
		assert.Equal(t, refused, send(t, both, forged), name)
		assert.Equal(t, refused, send(t, both, forged), name)
	}
	assert.Equal(t, refused, send(t, both, a.Mint(oauthztest.Claims{"iss": "https://third.example"})))
	assert.Equal(t, refused, send(t, both, a.Mint(oauthztest.Claims{"iss": oauthztest.Absent})))
	assert.Equal(t, refused, send(t, both, a.Mint(nil, oauthztest.WithRawClaims([]byte(`x`)))))
	_, err = both.Introspect(t.Context(), "opaque")
	assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
}

func TestByIssuerIsChecked(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	_, err := localjwt.ByIssuer()
	require.EqualError(t, err, "localjwt: ByIssuer: no introspector")
	_, err = localjwt.ByIssuer(discovering(t, as), nil, discovering(t, as))
	assert.EqualError(t, err, "localjwt: ByIssuer: introspector 1 is nil\n"+
		fmt.Sprintf("localjwt: ByIssuer: two introspectors for issuer %q", as.Issuer()))
}

// Each of several issuers keeps its own limits.
func TestByIssuerLimits(t *testing.T) {
	t.Parallel()
	a, narrow := fixedIssuer(t, func(cfg *localjwt.Config) { cfg.MaxTokenBytes, cfg.MaxHeaderBytes = 2048, 128 })
	b, wide := fixedIssuer(t)
	x := strings.Repeat("x", 1500)
	for _, both := range [][]*localjwt.Introspector{{narrow, wide}, {wide, narrow}} {
		in, err := localjwt.ByIssuer(both...)
		require.NoError(t, err)
		for _, opt := range []oauthztest.MintOption{oauthztest.WithHeader("x", x), oauthztest.WithHeader("x", "")} {
			assert.Equal(t, ok, introspect(t, in, b.Mint(oauthztest.Claims{"x": x}, opt)))
			assert.Equal(t, refused, introspect(t, in, a.Mint(oauthztest.Claims{"x": x}, opt)))
		}
		assert.Equal(t, ok, introspect(t, in, a.Mint(nil)))
	}
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
