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

// checked is in behind a cache and with a list, as an API has them.
func checked(t *testing.T, in oauthz.Introspector, list oauthz.RevocationList) oauthz.Introspector {
	t.Helper()
	remembering, err := cache.New(in, cache.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = remembering.Close() }) // never fails
	out, err := oauthz.CheckRevoked(remembering, list)
	require.NoError(t, err)
	return out
}

// highS is the twin of an ES256 token: the same claims, and another signature that verifies too.
func highS(t *testing.T, token string) string {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	require.NoError(t, err)
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(signature)
}

// RV-06, RV-07, RV-15, CA-10, CA-19: who revokes a token by what it says revokes every spelling of it, remembered or not. By
// its bytes nothing is revoked.
func TestTwinsOfARevokedToken(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		list := &oauthz.Revocations{}
		in := checked(t, as.introspector(t), list)
		token := as.Mint(oauthztest.Claims{"jti": "stolen"})
		twin, other := highS(t, token), as.Mint(oauthztest.Claims{"jti": "other"})
		unseen := highS(t, other) // RV-07: spellings that are none are refused, revoked or not
		for _, spelling := range []string{token + "\n", token + "\r\n", token + "=", flipped(token)} {
			assert.NotEqual(t, ok, ask(t, in, spelling))
		}
		for _, spelling := range []string{token, twin, token, twin, other} {
			require.Equal(t, ok, ask(t, in, spelling))
		}
		byBytes := oauthz.Revocation{Match: map[string]any{"iss": as.Issuer(), oauthz.MatchTokenHash: oauthz.TokenHash(token)}}
		require.NoError(t, list.Revoke(t.Context(), byBytes))
		assert.Equal(t, ok, ask(t, in, token))

		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": as.Issuer(), "jti": "stolen"}}))
		for _, spelling := range []string{token, twin, token, twin} {
			assert.Equal(t, refused, ask(t, in, spelling))
		}
		assert.Equal(t, ok, ask(t, in, other))
		assert.Equal(t, ok, ask(t, in, unseen))
	})
}

// flipped has a last character that decodes to the same bytes, if trailing bits are ignored.
func flipped(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

// RV-11, RV-13: the leeway for clocks that differ makes no gap between a token and its revocation.
func TestRevocationOutlivesTheLeeway(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		list := &oauthz.Revocations{}
		in := checked(t, as.introspector(t), list)
		expires := time.Now().Add(time.Hour)
		revokedToken := as.Mint(oauthztest.Claims{"jti": "revoked", "exp": expires})
		other := as.Mint(oauthztest.Claims{"jti": "other", "exp": expires})
		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{
			Match: map[string]any{"iss": as.Issuer(), "jti": "revoked"}, Expires: expires,
		}))
		pass(time.Hour + 30*time.Second) // the leeway is 60 s
		assert.Equal(t, ok, ask(t, in, other))
		assert.Equal(t, refused, ask(t, in, revokedToken))
	})
}

// RV-17: a logout token (OpenID Connect Back-Channel Logout §2.6) is no access token, well made or not, and none revokes
// anything by being sent.
func TestLogoutTokenIsNoAccessToken(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		list := &oauthz.Revocations{}
		in := checked(t, as.introspector(t), list)
		events := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
		session := oauthztest.Claims{"sid": "session", "jti": "session"}
		access := as.Mint(session)
		for _, tt := range []struct {
			name   string
			typ    string
			claims oauthztest.Claims
		}{
			{name: "RV-17 as it should be", typ: "logout+jwt", claims: oauthztest.Claims{"events": events, "sid": "session"}},
			{name: "RV-17 wrong typ", typ: "JWT", claims: oauthztest.Claims{"events": events, "sid": "session"}},
			{name: "RV-17 nonce", typ: "JWT", claims: oauthztest.Claims{"events": events, "nonce": "n", "sid": "session"}},
			{name: "RV-17 no events", typ: "logout+jwt", claims: oauthztest.Claims{"sid": "session"}},
			{name: "RV-17 old", typ: "logout+jwt", claims: oauthztest.Claims{"events": events, "iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(-time.Hour / 2)}},
			{name: "RV-17 replayed jti", typ: "logout+jwt", claims: oauthztest.Claims{"events": events, "jti": "session"}},
		} {
			token := as.Mint(tt.claims, oauthztest.WithHeader("typ", tt.typ))
			assert.Equal(t, refused, ask(t, in, token), tt.name)
			assert.Equal(t, refused, ask(t, in, token), tt.name)
			revoked, err := list.Revoked(context.Background(), oauthztest.Token(session))
			require.NoError(t, err)
			assert.False(t, revoked, tt.name)
		}
		assert.Equal(t, ok, ask(t, in, access))
	})
}
