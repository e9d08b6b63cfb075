package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/jose"
)

// signers returns a key for each kind of algorithm, and its JWK.
func signers(t *testing.T) (keys map[string]crypto.Signer, jwks map[string]string) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys = map[string]crypto.Signer{"RS": rsaKey, "PS": rsaKey, "Ed": edKey}
	rsaJWK := fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, b64(rsaKey.N.Bytes()...))
	jwks = map[string]string{
		"RS": rsaJWK, "PS": rsaJWK, "Ed": fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, b64(edKey.Public().(ed25519.PublicKey)...)),
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		point, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		half := len(point) / 2
		keys[alg] = key
		jwks[alg] = fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q}`, curve.Params().Name, b64(point[1:1+half]...), b64(point[1+half:]...))
	}
	return keys, jwks
}

// kind returns the name under which signers has the key for alg.
func kind(alg string) string {
	if strings.HasPrefix(alg, "ES") {
		return alg
	}
	return alg[:2]
}

// Every algorithm signs, also with a key that has only the methods of a
// crypto.Signer, and Verify accepts the signature with the key and with no other.
func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	keys, jwks := signers(t)
	_, others := signers(t)
	for _, alg := range jose.Algorithms() {
		sign, err := jose.Signer(alg, struct{ crypto.Signer }{keys[kind(alg)]})
		require.NoError(t, err, alg)
		for range 3 { // r and s of some signatures are short
			token, err := jose.Sign(alg, "", sign, map[string]any{"iss": "a"})
			require.NoError(t, err, alg)
			set, _, err := jose.NewFixedSet([]byte(`{"keys":[`+jwks[kind(alg)]+`]}`), 1)
			require.NoError(t, err, alg)
			_, err = set.Verify(t.Context(), parse(t, token))
			require.NoError(t, err, alg)
			other, _, err := jose.NewFixedSet([]byte(`{"keys":[`+others[kind(alg)]+`]}`), 1)
			require.NoError(t, err, alg)
			_, err = other.Verify(t.Context(), parse(t, token))
			assert.ErrorIs(t, err, jose.ErrSignature, alg)
		}
	}
}

func TestSignerRefuses(t *testing.T) {
	t.Parallel()
	keys, _ := signers(t)
	var none *rsa.PrivateKey
	for _, tt := range []struct {
		alg  string
		key  crypto.Signer
		want string
	}{
		{"HS256", keys["RS"], `cannot sign with "HS256", or no key`}, {"none", keys["RS"], `cannot sign with "none", or no key`},
		{"RS256", nil, `cannot sign with "RS256", or no key`}, {"RS256", none, `cannot sign with "RS256", or no key`},
		{"RS256", keys["ES256"], "the key does not sign with RS256"}, {"ES256", keys["ES384"], "the key does not sign with ES256"},
		{"EdDSA", keys["RS"], "the key does not sign with EdDSA"}, {"ES256", keys["Ed"], "the key does not sign with ES256"},
	} {
		_, err := jose.Signer(tt.alg, tt.key)
		assert.EqualError(t, err, tt.want)
	}
}

// garbage is a key whose signatures are not ASN.1.
type garbage struct{ crypto.Signer }

func (garbage) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("c4n4ry"), nil
}

func TestSignatureOfAnotherForm(t *testing.T) {
	t.Parallel()
	keys, _ := signers(t)
	sign, err := jose.Signer("ES256", garbage{keys["ES256"]})
	require.NoError(t, err)
	_, err = jose.Sign("ES256", "", sign, nil)
	assert.EqualError(t, err, "the signer does not return an ECDSA signature")
}

func TestSharedSecret(t *testing.T) {
	t.Parallel()
	token, err := jose.Sign("HS256", "k", jose.SharedSecret([]byte("secret")), map[string]any{"iss": "a"})
	require.NoError(t, err)
	signed := b64([]byte(`{"alg":"HS256","kid":"k"}`)...) + "." + b64([]byte(`{"iss":"a"}`)...)
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(signed))
	assert.Equal(t, signed+"."+b64(mac.Sum(nil)...), token)
	set, _, err := jose.NewFixedSet([]byte(`{"keys":[`+rsaKey(2048, 3)+`]}`), 1)
	require.NoError(t, err)
	_, err = set.Verify(t.Context(), parse(t, token))
	assert.ErrorIs(t, err, jose.ErrAlgorithm, "nothing is verified with a shared secret")
}
