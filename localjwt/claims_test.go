package localjwt_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fixedIssuer returns an issuer and an introspector with its keys. The clocks of
// both stand at noon.
func fixedIssuer(t *testing.T, changes ...func(*localjwt.Config)) (*oauthztest.Server, *localjwt.Introspector) {
	t.Helper()
	now := func() time.Time { return noon }
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: now})
	t.Cleanup(as.Close)
	cfg := localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, Now: now}
	as.Keys() // makes the key
	cfg.JWKS = as.JWKS()
	for _, change := range changes {
		change(&cfg)
	}
	in, err := localjwt.New(t.Context(), cfg)
	require.NoError(t, err)
	return as, in
}

func at(d time.Duration) time.Time { return noon.Add(d) }

// claimTest is a token of fixedIssuer, and the result of its Introspect.
type claimTest struct {
	name   string
	claims oauthztest.Claims
	header any    // typ; nil: at+jwt
	want   string // of the error, after the text of ErrInvalidToken; "": accepted
}

var claimTests = []claimTest{
	{name: "default"},
	{name: "issuer with a slash", claims: oauthztest.Claims{"iss": "https://issuer.example/"}, want: "iss is another issuer"},
	{name: "no issuer", claims: oauthztest.Claims{"iss": oauthztest.Absent}, want: "iss is another issuer"},
	{name: "audience among others", claims: oauthztest.Claims{"aud": []string{"https://other.example", audience}}},
	{name: "other audience", claims: oauthztest.Claims{"aud": "https://other.example"}, want: "aud does not name this API"},
	{name: "audience in another case", claims: oauthztest.Claims{"aud": "https://API.example"}, want: "aud does not name this API"},
	{name: "no audience", claims: oauthztest.Claims{"aud": oauthztest.Absent}, want: "aud does not name this API"},
	{name: "empty audience", claims: oauthztest.Claims{"aud": []string{}}, want: "aud does not name this API"},
	{name: "no exp", claims: oauthztest.Claims{"exp": oauthztest.Absent}, want: "no exp"},
	{name: "expired within leeway", claims: oauthztest.Claims{"exp": at(-59 * time.Second)}},
	{name: "expired by leeway", claims: oauthztest.Claims{"exp": at(-60 * time.Second)}, want: "expired"},
	{name: "not yet, within leeway", claims: oauthztest.Claims{"nbf": at(60 * time.Second)}},
	{name: "not yet", claims: oauthztest.Claims{"nbf": at(61 * time.Second)}, want: "nbf is in the future"},
	{name: "overflowing nbf", claims: oauthztest.Claims{"nbf": 1e19}, want: "claim nbf: not of the expected type"},
	{name: "issued in the future, as a clock may be ahead", claims: oauthztest.Claims{"iat": at(oauthz.MaxLeeway)}},
	{name: "issued in the future", claims: oauthztest.Claims{"iat": at(oauthz.MaxLeeway + time.Second)}, want: "iat is in the future"},
}

func TestClaims(t *testing.T) {
	t.Parallel()
	testClaims(t, claimTests)
}

var kindTests = []claimTest{
	{name: "typ JWT", header: "JWT"},
	{name: "typ with application", header: "application/at+JWT"},
	{name: "no typ", header: oauthztest.Absent},
	{name: "typ of an ID token", header: "id+jwt", want: "typ is not that of an access token"},
	{name: "typ of a logout token", header: "logout+jwt", want: "typ is not that of an access token"},
	{name: "nonce", header: "JWT", claims: oauthztest.Claims{"nonce": "n"}, want: "has the marks of another kind of JWT"},
	{name: "at_hash", header: oauthztest.Absent, claims: oauthztest.Claims{"at_hash": "h"}, want: "has the marks of another kind of JWT"},
	{name: "events", header: oauthztest.Absent, claims: oauthztest.Claims{"events": map[string]any{}}, want: "has the marks of another kind of JWT"},
	{name: "token_introspection", header: oauthztest.Absent, claims: oauthztest.Claims{"token_introspection": map[string]any{}}, want: "has the marks of another kind of JWT"},
	{name: "nonce in an at+jwt", claims: oauthztest.Claims{"nonce": "n"}},
	{name: "Keycloak access", header: "JWT", claims: oauthztest.Claims{"typ": "Bearer"}},
	{name: "Keycloak refresh", header: "JWT", claims: oauthztest.Claims{"typ": "Refresh"}, want: "a claim names another kind of token"},
	{name: "Keycloak ID", header: "JWT", claims: oauthztest.Claims{"typ": "ID"}, want: "a claim names another kind of token"},
	{name: "Cognito access", header: oauthztest.Absent, claims: oauthztest.Claims{"token_use": "access"}},
	{name: "Cognito ID", header: oauthztest.Absent, claims: oauthztest.Claims{"token_use": "id"}, want: "a claim names another kind of token"},
	{name: "refresh token", header: "JWT", claims: oauthztest.Claims{"token_type": "refresh_token"}, want: "a claim names another kind of token"},
	{name: "token_type a number", header: "JWT", claims: oauthztest.Claims{"token_type": 1}, want: "a claim names another kind of token"},
}

func TestKindsOfJWT(t *testing.T) {
	t.Parallel()
	testClaims(t, kindTests)
}

func testClaims(t *testing.T, tests []claimTest) {
	t.Helper()
	as, in := fixedIssuer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var opts []oauthztest.MintOption
			if tt.header != nil {
				opts = append(opts, oauthztest.WithHeader("typ", tt.header))
			}
			token, err := in.Introspect(t.Context(), as.Mint(tt.claims, opts...))
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, "user-1", token.Subject)
				return
			}
			require.EqualError(t, err, "oauthz: invalid token: "+tt.want)
			require.ErrorIs(t, err, oauthz.ErrInvalidToken)
			assert.Equal(t, tt.name == "expired by leeway", errors.Is(err, oauthz.ErrExpired))
		})
	}
}

// ErrExpired is returned only for a token whose signature verified.
func TestOnlyAVerifiedTokenIsReportedAsExpired(t *testing.T) {
	t.Parallel()
	as, in := fixedIssuer(t)
	token := as.Mint(oauthztest.Claims{"exp": at(-time.Hour)})
	_, err := in.Introspect(t.Context(), token)
	require.ErrorIs(t, err, oauthz.ErrExpired)
	other, _ := fixedIssuer(t)
	forged := other.Mint(oauthztest.Claims{"iss": as.Issuer(), "exp": at(-time.Hour)})
	_, err = in.Introspect(t.Context(), forged)
	require.ErrorIs(t, err, oauthz.ErrInvalidToken)
	assert.NotErrorIs(t, err, oauthz.ErrExpired)
}

func TestRequireATJWT(t *testing.T) {
	t.Parallel()
	as, in := fixedIssuer(t, func(cfg *localjwt.Config) { cfg.RequireATJWT = true })
	assert.Equal(t, ok, introspect(t, in, as.Mint(nil)))
	assert.Equal(t, refused, introspect(t, in, as.Mint(nil, oauthztest.WithHeader("typ", "JWT"))))
	assert.Equal(t, refused, introspect(t, in, as.Mint(nil, oauthztest.WithHeader("typ", oauthztest.Absent))))
	for _, claim := range []string{"sub", "client_id", "jti", "iat", "exp", "aud", "iss"} {
		assert.Equal(t, refused, introspect(t, in, as.Mint(oauthztest.Claims{claim: oauthztest.Absent})), claim)
	}
}

// introspect returns the answer of a Guard to the result of in.
func introspect(t *testing.T, in oauthz.Introspector, token string) answer {
	t.Helper()
	_, err := in.Introspect(t.Context(), token)
	switch {
	case err == nil:
		return ok
	case errors.Is(err, oauthz.ErrInvalidToken):
		return refused
	default:
		return answer{status: 503}
	}
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
	as := oauthztest.NewServer(oauthztest.Config{})
	t.Cleanup(as.Close)
	tokens := map[string]string{}
	for _, alg := range all {
		tokens[alg] = as.Mint(nil, oauthztest.WithAlgorithm(alg))
	}
	everything := fixedKeys(t, as, string(as.JWKS()))
	es256, err := localjwt.New(t.Context(), localjwt.Config{
		Issuer: as.Issuer(), Audience: []string{audience}, JWKS: as.JWKS(), Algorithms: []string{"ES256"},
	})
	require.NoError(t, err)
	for _, alg := range all {
		assert.Equal(t, ok, send(t, everything, tokens[alg]), alg)
		want := refused
		if alg == "ES256" {
			want = ok
		}
		assert.Equal(t, want, send(t, es256, tokens[alg]), alg)
	}
}

func TestTokenFields(t *testing.T) {
	t.Parallel()
	as, in := fixedIssuer(t, func(cfg *localjwt.Config) { cfg.TenantClaim = "org" })
	token, err := in.Introspect(t.Context(), as.Mint(oauthztest.Claims{
		"jti": "j", "sid": "s", "scope": "a b", "org": "acme", "acr": "gold", "auth_time": at(-time.Minute), "nbf": at(-time.Hour),
		"cnf": map[string]string{"jkt": "thumb"},
	}))
	require.NoError(t, err)
	want := &oauthz.Token{
		ID: "j", Issuer: as.Issuer(), Subject: "user-1", ClientID: "client-1", SessionID: "s", Tenant: "acme", ACR: "gold",
		Audience: []string{audience}, Scopes: oauthz.Scopes{"a", "b"},
		IssuedAt: noon, NotBefore: at(-time.Hour), ExpiresAt: at(5 * time.Minute), AuthTime: at(-time.Minute),
		Confirmation: &oauthz.Confirmation{JWKThumbprint: "thumb"},
	}
	assert.Equal(t, exportedFields(want), exportedFields(token))
	until, live := token.Validity()
	assert.Equal(t, at(6*time.Minute), until, "exp and the leeway")
	assert.True(t, live)

	_, err = in.Introspect(t.Context(), as.Mint(oauthztest.Claims{"org": 7}))
	assert.EqualError(t, err, "oauthz: invalid token: the tenant claim is not a string")
}

// exportedFields returns the exported fields of t as JSON.
func exportedFields(t *oauthz.Token) string {
	raw, err := json.Marshal(t)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func TestUnrecognizedAndDamagedTokens(t *testing.T) {
	t.Parallel()
	as, in := fixedIssuer(t)
	jwt := as.Mint(nil)
	for _, other := range []string{
		"", "opaque", "a.b", "a.b.c", "v2.local.c2VjcmV0", ".", "..", "...", jwt + ".x", jwt + ".a.b", "{}", `{"payload":"","signatures":[]}`,
	} {
		_, err := in.Introspect(t.Context(), other)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized, other)
		assert.NotErrorIs(t, err, oauthz.ErrInvalidToken, other)
	}
	// A damaged JWS, or a JWS of another issuer, is refused, so that it is not sent to
	// another server.
	foreign, _ := fixedIssuer(t)
	for _, bad := range []string{
		jwt[:len(jwt)-1], jwt + "=", jwt + "\n", " " + jwt[1:], "eyJ", jwt[:20] + "\r\n" + jwt[20:], foreign.Mint(nil),
	} {
		_, err := in.Introspect(t.Context(), bad)
		if bad == "eyJ" || bad[0] == ' ' {
			assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
			continue
		}
		assert.ErrorIs(t, err, oauthz.ErrInvalidToken, bad)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	as, in := fixedIssuer(t, func(cfg *localjwt.Config) { cfg.MaxTokenBytes, cfg.MaxHeaderBytes = 4096, 512 })
	assert.Equal(t, ok, introspect(t, in, as.Mint(oauthztest.Claims{"x": strings.Repeat("x", 1000)})))
	assert.Equal(t, refused, introspect(t, in, as.Mint(oauthztest.Claims{"x": strings.Repeat("x", 4096)})))
	assert.Equal(t, ok, introspect(t, in, as.Mint(nil, oauthztest.WithHeader("x", strings.Repeat("x", 300)))))
	assert.Equal(t, refused, introspect(t, in, as.Mint(nil, oauthztest.WithHeader("x", strings.Repeat("x", 512)))))
}
