package localjwt_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := localjwt.New(t.Context(), localjwt.Config{})
	require.EqualError(t, err, "localjwt: config: Issuer is required\n"+
		"localjwt: config: Audience is required: without it, a token for any other API is accepted")
	valid := localjwt.Config{Issuer: "https://issuer.example", Audience: []string{audience}}
	tests := []struct {
		name   string
		change func(*localjwt.Config)
		want   string
	}{
		{"audience empty", func(c *localjwt.Config) { c.Audience = []string{audience, ""} }, "localjwt: config: Audience holds an empty string"},
		{"issuer over http", func(c *localjwt.Config) { c.Issuer = "http://issuer.example" }, "localjwt: config: Issuer: cannot discover the keys, and there is no JWKSURL: want an https URL (http only for loopback)"},
		{"issuer with a query", func(c *localjwt.Config) { c.Issuer = "https://issuer.example?x" }, "localjwt: config: Issuer: cannot discover the keys, and there is no JWKSURL: holds a query (RFC 8414 §2)"},
		{"keys over http", func(c *localjwt.Config) { c.JWKSURL = "http://issuer.example/jwks" }, "localjwt: config: JWKSURL: want an https URL (http only for loopback)"},
		{"password in URL", func(c *localjwt.Config) { c.JWKSURL = "https://u:secret@issuer.example/jwks" }, "localjwt: config: JWKSURL: holds credentials"},
		{"two sources", func(c *localjwt.Config) { c.JWKSURL, c.JWKS = "https://issuer.example", json.RawMessage(`{}`) }, "localjwt: config: JWKSURL and JWKS exclude each other\nlocaljwt: config: JWKS: not a JWK Set within bounds"},
		{"HS256", func(c *localjwt.Config) { c.Algorithms = []string{"RS256", "HS256"} }, `localjwt: config: Algorithms: "HS256" is not one of [ES256 ES384 ES512 Ed25519 EdDSA PS256 PS384 PS512 RS256 RS384 RS512]`},
		{"none", func(c *localjwt.Config) { c.Algorithms = []string{"none"} }, `localjwt: config: Algorithms: "none" is not one of [ES256 ES384 ES512 Ed25519 EdDSA PS256 PS384 PS512 RS256 RS384 RS512]`},
		{"leeway", func(c *localjwt.Config) { c.Leeway = 6 * time.Minute }, "localjwt: config: Leeway: 6m0s is more than 5m0s"},
		{"negative bounds", func(c *localjwt.Config) { c.MaxKeys, c.FetchTimeout = -1, -1 }, "localjwt: config: MaxKeys is negative\nlocaljwt: config: FetchTimeout is negative"},
		{"too many keys", func(c *localjwt.Config) { c.MaxKeys, c.JWKS = 1, json.RawMessage(`{"keys":[{},{}]}`) }, "localjwt: config: JWKS: not a JWK Set within bounds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := valid
			tt.change(&cfg)
			in, err := localjwt.New(t.Context(), cfg)
			assert.EqualError(t, err, tt.want)
			assert.Nil(t, in)
		})
	}
}

func TestConfigIsCopiedAndItsLimitsHold(t *testing.T) {
	t.Parallel()
	mine, algorithms := []string{audience}, []string{"ES256"}
	as, in := fixedIssuer(t, func(cfg *localjwt.Config) {
		cfg.Audience, cfg.Algorithms, cfg.Leeway, cfg.TenantClaim = mine, algorithms, -time.Hour, "org"
	})
	mine[0], algorithms[0] = "https://other.example", "RS256"
	assert.Equal(t, ok, introspect(t, in, as.Mint(oauthztest.Claims{"exp": at(time.Second)})), "as configured; no tenant")
	assert.Equal(t, refused, introspect(t, in, as.Mint(oauthztest.Claims{"exp": noon})), "a negative Leeway is none")
	for _, mark := range []string{"c_hash", "s_hash"} {
		assert.Equal(t, refused, introspect(t, in, as.Mint(oauthztest.Claims{mark: "x"}, oauthztest.WithHeader("typ", "JWT"))), mark)
	}
	fixedIssuer(t, func(cfg *localjwt.Config) { cfg.Leeway, cfg.MaxStale = oauthz.MaxLeeway, 15*time.Minute })
	for stale, issuer := range map[time.Duration]string{time.Minute: "https://issuer.example", time.Hour: "https://issuer.example?"} {
		_, err := localjwt.New(t.Context(), localjwt.Config{Issuer: issuer, Audience: mine, MaxStale: stale})
		assert.Error(t, err, issuer)
	}
}

func TestNilContext(t *testing.T) {
	t.Parallel()
	var none context.Context
	_, err := localjwt.New(none, localjwt.Config{Issuer: "https://issuer.example", Audience: []string{audience}})
	assert.EqualError(t, err, "localjwt: the context is nil")
}
