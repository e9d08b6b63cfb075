package oauthztest_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/oauthztest"
)

// published fetches the JWKS and returns its keys by kid.
func published(t *testing.T, s *oauthztest.Server) map[string]map[string]any {
	t.Helper()
	resp, body := get(t, s, s.JWKSURL())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(body), &set))
	keys := map[string]map[string]any{}
	for _, key := range set.Keys {
		kid, ok := key["kid"].(string)
		require.True(t, ok)
		keys[kid] = key
	}
	return keys
}

// publicKey reads a JWK as a client would.
func publicKey(t *testing.T, jwk map[string]any) any {
	t.Helper()
	member := func(name string) []byte {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(jwk[name].(string))
		require.NoError(t, err)
		return raw
	}
	switch jwk["kty"] {
	case "RSA":
		return &rsa.PublicKey{N: new(big.Int).SetBytes(member("n")), E: int(new(big.Int).SetBytes(member("e")).Int64())}
	case "EC":
		curve := map[any]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[jwk["crv"]]
		require.NotNil(t, curve)
		public, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, member("x")...), member("y")...))
		require.NoError(t, err)
		return public
	default:
		require.Equal(t, "OKP", jwk["kty"])
		require.Equal(t, "Ed25519", jwk["crv"])
		return ed25519.PublicKey(member("x"))
	}
}

// part decodes a segment of a JWT: 0 is the header, 1 is the payload.
func part(t *testing.T, token string, index int) map[string]any {
	t.Helper()
	segments := strings.Split(token, ".")
	require.Len(t, segments, 3)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(segments[index])
	require.NoError(t, err)
	return object(t, string(raw))
}

// verify checks the signature of a token with the key that it names in the published JWKS.
func verify(t *testing.T, s *oauthztest.Server, token string) error {
	t.Helper()
	keys := published(t, s)
	_, err := jwt.Parse(token, func(parsed *jwt.Token) (any, error) {
		key, ok := keys[parsed.Header["kid"].(string)]
		if !ok {
			return nil, jwt.ErrTokenUnverifiable
		}
		return publicKey(t, key), nil
	}, jwt.WithIssuer(s.Issuer()), jwt.WithAudience("https://api.example"), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	return err
}

func TestMintSignsWithEveryAlgorithm(t *testing.T) {
	t.Parallel()
	kinds := map[string][2]string{
		"RS256": {"RSA"}, "RS384": {"RSA"}, "RS512": {"RSA"}, "PS256": {"RSA"}, "PS384": {"RSA"}, "PS512": {"RSA"},
		"ES256": {"EC", "P-256"}, "ES384": {"EC", "P-384"}, "ES512": {"EC", "P-521"},
		"EdDSA": {"OKP", "Ed25519"}, "Ed25519": {"OKP", "Ed25519"},
	}
	for alg, kind := range kinds {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := start(t, oauthztest.Config{Algorithm: alg})
			token := s.Mint(nil)
			assert.Equal(t, map[string]any{"alg": alg, "kid": "key-1", "typ": "at+jwt"}, part(t, token, 0))

			jwk := published(t, s)["key-1"]
			assert.Equal(t, "sig", jwk["use"])
			assert.Equal(t, alg, jwk["alg"])
			assert.Equal(t, kind[0], jwk["kty"])
			if kind[1] != "" {
				assert.Equal(t, kind[1], jwk["crv"])
			}
			assert.NotContains(t, jwk, "d", "the private key stays private")

			if alg == "Ed25519" {
				assert.True(t, verifyEd25519(t, token, publicKey(t, jwk)))
				assert.Nil(t, jwt.GetSigningMethod("Ed25519"), "nothing is registered for the whole process")
			} else {
				require.NoError(t, verify(t, s, token))
			}
		})
	}
}

func verifyEd25519(t *testing.T, token string, key any) bool {
	t.Helper()
	dot := strings.LastIndex(token, ".")
	signature, err := base64.RawURLEncoding.Strict().DecodeString(token[dot+1:])
	require.NoError(t, err)
	return ed25519.Verify(key.(ed25519.PublicKey), []byte(token[:dot]), signature)
}

func TestMintDefaultsToRS256(t *testing.T) {
	t.Parallel()
	s := oauthztest.NewServer(oauthztest.Config{})
	defer s.Close()
	token := s.Mint(nil)
	require.NoError(t, verify(t, s, token))
	assert.Equal(t, "RS256", part(t, token, 0)["alg"])
	assert.Equal(t, 2048, publicKey(t, published(t, s)["key-1"]).(*rsa.PublicKey).N.BitLen())
}

// mintTime is the time of the server in the tests of Mint.
var mintTime = time.Unix(1_800_000_000, 999)

// mintTests are claims, and the changes that they make to the defaults.
var mintTests = []struct {
	name   string
	claims oauthztest.Claims
	want   func(map[string]any)
}{
	{name: "none given", want: func(map[string]any) {}},
	{name: "one more", claims: oauthztest.Claims{"scope": "read"}, want: func(m map[string]any) { m["scope"] = "read" }},
	{name: "another value", claims: oauthztest.Claims{"sub": "user-2", "aud": []string{"a", "b"}}, want: func(m map[string]any) {
		m["sub"], m["aud"] = "user-2", []any{"a", "b"}
	}},
	{name: "absent", claims: oauthztest.Claims{"exp": oauthztest.Absent, "new": oauthztest.Absent}, want: func(m map[string]any) { delete(m, "exp") }},
	{name: "null is not absent", claims: oauthztest.Claims{"exp": nil}, want: func(m map[string]any) { m["exp"] = nil }},
	{name: "a time", claims: oauthztest.Claims{"nbf": mintTime.Add(time.Hour)}, want: func(m map[string]any) { m["nbf"] = 1.8e9 + 3600 }},
	{name: "JSON as it is", claims: oauthztest.Claims{"nbf": json.RawMessage("1e3")}, want: func(m map[string]any) { m["nbf"] = 1e3 }},
}

func TestMintClaims(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{Now: func() time.Time { return mintTime }})
	defaults := func() map[string]any {
		return map[string]any{
			"iss": s.Issuer(), "aud": "https://api.example", "sub": "user-1", "client_id": "client-1",
			"iat": 1.8e9, "exp": 1.8e9 + 300,
		}
	}
	for _, tt := range mintTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := part(t, s.Mint(tt.claims), 1)
			assert.NotEmpty(t, got["jti"])
			delete(got, "jti")
			want := defaults()
			tt.want(want)
			assert.Equal(t, want, got)
		})
	}
}

func TestMintedIDIsRandom(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{Now: func() time.Time { return mintTime }})
	assert.NotEqual(t, part(t, s.Mint(nil), 1)["jti"], part(t, s.Mint(nil), 1)["jti"])
}

func TestMintDoesNotChangeTheClaimsGiven(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{Now: func() time.Time { return mintTime }})
	claims := oauthztest.Claims{"exp": oauthztest.Absent, "nbf": mintTime}
	s.Mint(claims)
	s.MintOpaque(claims)
	assert.Equal(t, oauthztest.Claims{"exp": oauthztest.Absent, "nbf": mintTime}, claims)
}

func TestMintSeveralAudiences(t *testing.T) {
	t.Parallel()
	audience := []string{"a", "b"}
	s := start(t, oauthztest.Config{Audience: audience})
	audience[0] = "changed later"
	assert.Equal(t, []any{"a", "b"}, part(t, s.Mint(nil), 1)["aud"])
}

func TestMintOptions(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Mint(nil)
	header := func(opts ...oauthztest.MintOption) map[string]any { return part(t, s.Mint(nil, opts...), 0) }

	assert.Equal(t, map[string]any{"alg": "ES256", "kid": "key-1", "typ": "JWT", "crit": []any{"x"}},
		header(oauthztest.WithHeader("typ", "JWT"), oauthztest.WithHeader("crit", []string{"x"})))
	assert.Equal(t, map[string]any{"alg": "ES256"},
		header(oauthztest.WithHeader("typ", oauthztest.Absent), oauthztest.WithHeader("kid", oauthztest.Absent)))
	assert.Equal(t, map[string]any{"alg": "none", "kid": "key-1", "typ": "at+jwt"}, header(oauthztest.WithHeader("alg", "none")))

	raw := s.Mint(oauthztest.Claims{"sub": "not used"},
		oauthztest.WithRawHeader([]byte(`{"alg":"ES256","alg":"ES256"}`)), oauthztest.WithRawClaims([]byte(`{"iss":1,"iss":2}`)))
	assert.Equal(t, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","alg":"ES256"}`))+"."+
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":1,"iss":2}`)), raw[:strings.LastIndex(raw, ".")])
	_, err := jwt.Parse(raw, func(*jwt.Token) (any, error) { return publicKey(t, published(t, s)["key-1"]), nil })
	require.NoError(t, err, "raw parts are signed as any")
}

func TestMintWithAlgorithmAndKey(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	require.Equal(t, []string{"key-1"}, s.Keys())
	for range 2 {
		token := s.Mint(nil, oauthztest.WithAlgorithm("ES384"))
		assert.Equal(t, map[string]any{"alg": "ES384", "kid": "key-2", "typ": "at+jwt"}, part(t, token, 0))
		require.NoError(t, verify(t, s, token))
	}
	assert.Equal(t, []string{"key-1", "key-2"}, s.Keys(), "made once, on demand")
	assert.Equal(t, "key-1", part(t, s.Mint(nil), 0)["kid"], "the default stays")

	byKey := s.Mint(nil, oauthztest.WithKey("key-2"))
	assert.Equal(t, map[string]any{"alg": "ES384", "kid": "key-2", "typ": "at+jwt"}, part(t, byKey, 0))
	require.NoError(t, verify(t, s, byKey))

	s.Mint(nil, oauthztest.WithAlgorithm("EdDSA"))
	other := s.Mint(nil, oauthztest.WithKey("key-3"), oauthztest.WithAlgorithm("Ed25519"))
	assert.Equal(t, map[string]any{"alg": "Ed25519", "kid": "key-3", "typ": "at+jwt"}, part(t, other, 0))
	assert.True(t, verifyEd25519(t, other, publicKey(t, published(t, s)["key-3"])))
	assert.Equal(t, []string{"key-1", "key-2", "key-3"}, s.Keys(), "no key for Ed25519 was needed")
}

func TestMintPanicsForMistakes(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	assert.PanicsWithValue(t, `oauthztest: mint: no such algorithm: "none"`, func() { s.Mint(nil, oauthztest.WithAlgorithm("none")) })
	assert.PanicsWithValue(t, `oauthztest: no such key: "key-9"`, func() { s.Mint(nil, oauthztest.WithKey("key-9")) })
	assert.ErrorContains(t, panicked(t, func() { s.Mint(oauthztest.Claims{"x": func() {}}) }), "oauthztest: encode: ")
	assert.ErrorContains(t, panicked(t, func() { s.MintOpaque(oauthztest.Claims{"x": func() {}}) }), "oauthztest: encode: ")
	assert.ErrorContains(t, panicked(t, func() {
		s.Mint(nil, oauthztest.WithKey("key-1"), oauthztest.WithAlgorithm("RS256"))
	}), "oauthztest: sign: ", "an EC key signs no RS256")
	assert.ErrorContains(t, panicked(t, func() {
		s.Mint(nil, oauthztest.WithKey("key-1"), oauthztest.WithAlgorithm("ES384"))
	}), "oauthztest: sign: ", "a P-256 key signs no ES384")
}

func TestMintOpaque(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	token := s.MintOpaque(nil)
	assert.Regexp(t, "^[A-Z2-7]{26}$", token)
	assert.NotEqual(t, token, s.MintOpaque(nil))
}
