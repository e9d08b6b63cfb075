package localjwt_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
)

// withCacheAndList returns in behind a cache and with a revocation list, as an API
// has them.
func withCacheAndList(t *testing.T, in oauthz.Introspector, list oauthz.RevocationList) oauthz.Introspector {
	t.Helper()
	remembering, err := cache.New(in, cache.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = remembering.Close() }) // never fails
	out, err := oauthz.CheckRevoked(remembering, list)
	require.NoError(t, err)
	return out
}

// secondSignature returns an ES256 token with the same claims and a second encoding
// of the same signature (n-s in place of s), which verifies too.
func secondSignature(t *testing.T, token string) string {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	require.NoError(t, err)
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(signature)
}

// A revocation by claims covers a token with each encoding of its signature, in the
// cache or not. A revocation by the hash of the token has no effect on a JWT.
func TestRevocationCoversASecondSignatureOfTheSameClaims(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		list := &oauthz.MemoryRevocations{}
		in := withCacheAndList(t, as.introspector(t), list)
		token := as.Mint(oauthztest.Claims{"jti": "stolen"})
		second, other := secondSignature(t, token), as.Mint(oauthztest.Claims{"jti": "other"})
		unseen := secondSignature(t, other) // an invalid encoding is refused, revoked or not
		for _, encoding := range []string{token + "\n", token + "\r\n", token + "=", withFlippedTrailingBit(token)} {
			assert.NotEqual(t, ok, send(t, in, encoding))
		}
		for _, encoding := range []string{token, second, token, second, other} {
			require.Equal(t, ok, send(t, in, encoding))
		}
		byBytes := oauthz.Revocation{Match: map[string]any{"iss": as.Issuer(), oauthz.MatchTokenHash: oauthz.TokenHash(token)}}
		require.NoError(t, list.Revoke(t.Context(), byBytes))
		assert.Equal(t, ok, send(t, in, token))

		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": as.Issuer(), "jti": "stolen"}}))
		for _, encoding := range []string{token, second, token, second} {
			assert.Equal(t, refused, send(t, in, encoding))
		}
		assert.Equal(t, ok, send(t, in, other))
		assert.Equal(t, ok, send(t, in, unseen))
	})
}

// withFlippedTrailingBit returns token with another last character, which decodes
// to the same bytes if trailing bits are ignored.
func withFlippedTrailingBit(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

// The leeway for clocks that differ leaves no gap between the end of a revocation
// and the end of the token.
func TestRevocationOutlivesTheLeeway(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		list := &oauthz.MemoryRevocations{}
		in := withCacheAndList(t, as.introspector(t), list)
		expires := time.Now().Add(time.Hour)
		revokedToken := as.Mint(oauthztest.Claims{"jti": "revoked", "exp": expires})
		other := as.Mint(oauthztest.Claims{"jti": "other", "exp": expires})
		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{
			Match: map[string]any{"iss": as.Issuer(), "jti": "revoked"}, Expires: expires,
		}))
		pass(time.Hour + 30*time.Second) // the leeway is 60 s
		assert.Equal(t, ok, send(t, in, other))
		assert.Equal(t, refused, send(t, in, revokedToken))
	})
}

// A logout token (OpenID Connect Back-Channel Logout §2.6) is not accepted as an
// access token, well made or not. Sending one revokes nothing.
func TestLogoutTokenIsNotAnAccessToken(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		list := &oauthz.MemoryRevocations{}
		in := withCacheAndList(t, as.introspector(t), list)
		events := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
		session := oauthztest.Claims{"sid": "session", "jti": "session"}
		access := as.Mint(session)
		for _, tt := range []struct {
			name   string
			typ    string
			claims oauthztest.Claims
		}{
			{name: "as it should be", typ: "logout+jwt", claims: oauthztest.Claims{"events": events, "sid": "session"}},
			{name: "wrong typ", typ: "JWT", claims: oauthztest.Claims{"events": events, "sid": "session"}},
			{name: "nonce", typ: "JWT", claims: oauthztest.Claims{"events": events, "nonce": "n", "sid": "session"}},
			{name: "no events", typ: "logout+jwt", claims: oauthztest.Claims{"sid": "session"}},
			{name: "old", typ: "logout+jwt", claims: oauthztest.Claims{"events": events, "iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(-time.Hour / 2)}},
			{name: "replayed jti", typ: "logout+jwt", claims: oauthztest.Claims{"events": events, "jti": "session"}},
		} {
			token := as.Mint(tt.claims, oauthztest.WithHeader("typ", tt.typ))
			assert.Equal(t, refused, send(t, in, token), tt.name)
			assert.Equal(t, refused, send(t, in, token), tt.name)
			revoked, err := list.Revoked(context.Background(), oauthztest.Token(session))
			require.NoError(t, err)
			assert.False(t, revoked, tt.name)
		}
		assert.Equal(t, ok, send(t, in, access))
	})
}
