package oauthz_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// byBytes returns the hash of all bytes of a string.
func byBytes(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var (
	jwsHeader  = b64(`{"alg":"ES256"}`)       // 15 bytes: no unused bits
	jwsPayload = b64(`{"sub":"alice","a":1}`) // 21
	oddHeader  = b64(`{"alg":"ES256" }`)      // 16: four unused bits in the last character
	oddPayload = b64(`{"sub":"alice"}??>>`)   // 19, with characters that the two alphabets write differently
	jwe        = b64(`{"alg":"dir","enc":"A128GCM"}`)
)

// Strings that a server may accept as the same token have the same hash; all others have another.
func TestTokenHash(t *testing.T) {
	t.Parallel()
	odd := oddHeader + "." + oddPayload
	for _, tt := range []struct {
		name, one, other string
		same             bool
	}{
		{"another signature", jwsHeader + "." + jwsPayload + ".c2ln", jwsHeader + "." + jwsPayload + ".b3RoZXI", true},
		{"no signature", jwsHeader + "." + jwsPayload + ".c2ln", jwsHeader + "." + jwsPayload + ".", true},
		{"more parts", jwsHeader + "." + jwsPayload + ".c2ln", jwsHeader + "." + jwsPayload + ".c2ln.x", true},
		{"unused bits in the header", odd + ".s", oddHeader[:len(oddHeader)-1] + "R." + oddPayload + ".s", true},
		{"unused bits in the payload", odd + ".s", odd[:len(odd)-1] + "h.s", true},
		{"padding", odd + ".s", oddHeader + "==." + oddPayload + "==.s==", true},
		{"the other alphabet", odd + ".s", strings.NewReplacer("-", "+", "_", "/").Replace(odd) + ".s", true},
		{"another payload", jwsHeader + "." + jwsPayload + ".c2ln", jwsHeader + "." + b64(`{"sub":"alice","a":2}`) + ".c2ln", false},
		{"another header", jwsHeader + "." + jwsPayload + ".c2ln", b64(`{"alg":"ES384"}`) + "." + jwsPayload + ".c2ln", false},
		{"a part moved", jwsHeader + "." + jwsPayload + ".c2ln", jwsHeader + "." + jwsPayload[:4] + "." + jwsPayload[4:], false},
		{"JWE, another tag", jwe + ".a.aXY.Y3Q.dGFn", jwe + ".a.aXY.Y3Q.b3RoZXI", false},
		{"JWE, another text", jwe + ".a.aXY.Y3Q.dGFn", jwe + ".a.aXY.Y3R0.dGFn", false},
		{"JWE, unused bits in the tag", jwe + "..aXY.Y3Q.dGE", jwe + "..aXY.Y3Q.dGH", true},
		{"opaque", "mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqN", false},
		{"opaque, its second part", "abc.def.ghi", "abc.deg.ghi", false},
		{"opaque, one part", "abc", "abd", false},
		{"JSON that is not a header", b64(`{"id":1}`) + ".abc.def", b64(`{"id":1}`) + ".abc.deg", false},
		{"JSON that is not an object", b64(`["alg"]`) + ".abc.def", b64(`["alg"]`) + ".abc.deg", false},
		{"no payload, five parts", jwsHeader + "..a.b.c2ln", jwsHeader + "..a.b.b3RoZXI", false},
		{"detached payload", jwsHeader + "..c2ln", jwsHeader + "..b3RoZXI", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, tt.one, tt.other)
			assert.Equal(t, tt.same, oauthz.TokenHash(tt.one) == oauthz.TokenHash(tt.other))
		})
	}
}

func TestTokenHashOfTheSigningInput(t *testing.T) {
	t.Parallel()
	for token, hashed := range map[string]string{
		"mF_9.B5f-4.1JqM":                   "mF_9.B5f-4.1JqM",
		"":                                  "",
		jwsHeader + "." + jwsPayload + ".s": jwsHeader + "." + jwsPayload,
		jwe + ".a.aXY.Y3Q.dGFn":             jwe + ".a.aXY.Y3Q.dGFn",
		jwsHeader + "..s":                   jwsHeader + "..s",
	} {
		assert.Equal(t, byBytes(hashed), oauthz.TokenHash(token), token)
	}
}

// A JWS that a server introspected is revoked with every encoding of its signature.
func TestJWSIsRevokedByItsSigningInput(t *testing.T) {
	t.Parallel()
	one, other := jwsHeader+"."+jwsPayload+".c2ln", jwsHeader+"."+jwsPayload+".b3RoZXI"
	revokedBy := func(hash, token string) bool {
		list := revocations(t, by(match{"iss": "i", oauthz.MatchTokenHash: hash})...)
		revoked, err := list.Revoked(t.Context(), hashed(t, `{"iss":"i"}`, token).Clone())
		require.NoError(t, err)
		return revoked
	}
	assert.True(t, revokedBy(oauthz.TokenHash(one), one))
	assert.True(t, revokedBy(oauthz.TokenHash(one), other))
	assert.False(t, revokedBy(byBytes(one), one), "the hash of all bytes of a JWS matches no token")
	assert.False(t, revokedBy(oauthz.TokenHash(one), jwsHeader+"."+b64(`{}`)+".c2ln"))

	claim, ok := hashed(t, `{"iss":"i"}`, one).Claim(oauthz.MatchTokenHash)
	assert.True(t, ok)
	assert.Equal(t, `"`+oauthz.TokenHash(one)+`"`, string(claim))
}

// A token that a server introspected may be revoked by its bytes. A token that was verified locally has other encodings, so it
// never has a hash, even if it has a claim of that name.
func TestRevokedByHash(t *testing.T) {
	t.Parallel()
	const known = "mF_9.B5f-4.1JqM"
	assert.Equal(t, "uOFIVFsTx4vHTaLxpydd1x5W3ezhKdfS97PswG95lNo", oauthz.TokenHash(known))
	list := revocations(t, by(match{"iss": "i", oauthz.MatchTokenHash: oauthz.TokenHash(known)})...)
	for _, tt := range []struct {
		name  string
		token *oauthz.Token
		want  bool
	}{
		{name: "introspected", token: hashed(t, `{"iss":"i"}`, known), want: true},
		{name: "a copy of it", token: hashed(t, `{"iss":"i"}`, known).Clone(), want: true},
		{name: "introspected, another issuer", token: hashed(t, `{"iss":"j"}`, known)},
		{name: "introspected, another token", token: hashed(t, `{"iss":"i"}`, known+"=")},
		{name: "introspected, claims to be it", token: hashed(t, `{"iss":"i","token_sha256":"`+oauthz.TokenHash(known)+`"}`, "x")},
		{name: "verified locally", token: parse(t, `{"iss":"i"}`)},
		{name: "verified locally, claims to be it", token: parse(t, `{"iss":"i","token_sha256":"`+oauthz.TokenHash(known)+`"}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			revoked, err := list.Revoked(t.Context(), tt.token)
			require.NoError(t, err)
			assert.Equal(t, tt.want, revoked)
		})
	}
}
