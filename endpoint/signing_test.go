package endpoint_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// signedConfig signs with a key that the test can verify itself.
func signedConfig(key ed25519.PrivateKey) endpoint.IntrospectionConfig {
	return endpoint.IntrospectionConfig{
		Introspector: knownTokens(), Signing: &endpoint.Signing{Issuer: "https://as.example", Key: key, Algorithm: "EdDSA", KeyID: "k1"},
	}
}

func signedRequest(token, accept string) *http.Request {
	r := postRaw("token=" + token)
	r.Header.Set("Authorization", goodBasic)
	r.Header.Set("Accept", accept)
	return r
}

const signedType = "application/token-introspection+jwt"

// The bytes of a signed answer (RFC 9701 §5).
func TestSignedAnswerBytes(t *testing.T) {
	t.Parallel()
	key := edKey(t)
	for token, want := range map[string]string{
		"bound":   `{"aud":"orders api:1","iat":1795262400,"iss":"https://as.example","token_introspection":{"active":true,"aud":"https://api.example","cnf":{"jkt":"k"},"sub":"alice","token_type":"DPoP"}}`,
		"unknown": `{"aud":"orders api:1","iat":1795262400,"iss":"https://as.example","token_introspection":{"active":false}}`,
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			got := serve(t, introspectionHandler(t, signedConfig(key)), signedRequest(token, signedType))
			assert.Equal(t, 200, got.status)
			assert.Equal(t, "Content-Type: "+signedType, got.header)
			part := strings.Split(got.body, ".")
			require.Len(t, part, 3)
			var decoded [3][]byte
			for i := range part {
				var err error
				decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part[i])
				require.NoError(t, err)
			}
			assert.JSONEq(t, `{"alg":"EdDSA","kid":"k1","typ":"token-introspection+jwt"}`, string(decoded[0]))
			assert.Equal(t, want, string(decoded[1]))
			assert.True(t, ed25519.Verify(key.Public().(ed25519.PublicKey), []byte(part[0]+"."+part[1]), decoded[2]))
		})
	}
}

// RFC 9701 §4: only answers about a token are signed; errors are not.
func TestErrorsAreNotSigned(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, signedConfig(edKey(t)))
	assert.Equal(t, retryIn("42"), serve(t, h, signedRequest("fault", signedType)))
	assert.Equal(t, serverError, serve(t, h, signedRequest("panic", signedType)))
	assert.Equal(t, noToken, serve(t, h, signedRequest("", signedType)))
	stranger := signedRequest("active", signedType)
	stranger.Header.Del("Authorization")
	assert.Equal(t, invalidClient, serve(t, h, stranger))
}

// badSigner is a key in a KMS that is unreachable.
type badSigner struct{ crypto.Signer }

func (badSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("canary")
}

func TestAnswerThatCannotBeSigned(t *testing.T) {
	t.Parallel()
	cfg := signedConfig(edKey(t))
	cfg.Signing.Key = badSigner{cfg.Signing.Key}
	assert.Equal(t, unavailable, serve(t, introspectionHandler(t, cfg), signedRequest("active", signedType)))
	cfg = signedConfig(edKey(t))
	cfg.Entitled = func(_ context.Context, _ string, _ *oauthz.Token, members map[string]any) (bool, error) {
		members["x"] = json.RawMessage("{")
		return true, nil
	}
	assert.Equal(t, serverError, serve(t, introspectionHandler(t, cfg), signedRequest("active", signedType)))
}

var acceptTests = []struct {
	accept []string
	signed bool
}{
	{nil, false},
	{[]string{""}, false},
	{[]string{"*/*"}, false},
	{[]string{"application/*"}, false},
	{[]string{"application/json"}, false},
	{[]string{"application/jwt"}, false},
	{[]string{"text/html"}, false},
	{[]string{signedType}, true},
	{[]string{"Application/Token-Introspection+JWT; charset=utf-8"}, true},
	{[]string{signedType + ";q=0.001"}, true},
	{[]string{signedType + "; q=0"}, false},
	{[]string{signedType + ";q=0.000"}, false},
	{[]string{signedType + ";q=nan"}, false},
	{[]string{signedType + ";q=1e3"}, false},
	{[]string{signedType + ";q=1e-1"}, false},
	{[]string{signedType + ";q=+1"}, false},
	{[]string{signedType + ";q=1.1"}, false},
	{[]string{signedType + ";q=-1"}, false},
	{[]string{signedType + ";q=."}, false},
	{[]string{"application/json, " + signedType}, true},
	{[]string{signedType + ", application/json"}, true},
	{[]string{"application/json;q=0.5, " + signedType}, true},
	{[]string{"application/json, " + signedType + ";q=0.9"}, false},
	{[]string{"application/json;q=0.2, " + signedType + ";q=0.3, */*"}, true},
	{[]string{signedType + ";q=0.3, */*;q=0.5"}, false},
	{[]string{signedType + ";q=0.5, */*;q=0.3"}, true},
	{[]string{signedType + ";q=0.3, application/*;q=0.2, */*"}, true},
	{[]string{"application/json;q=0.5", signedType}, true},
	{[]string{"application/json", signedType + ";q=0.5"}, false},
	{[]string{"text/html;;, " + signedType}, true},
	{[]string{signedType + "x"}, false},
	{[]string{signedType, strings.Repeat(",", 8<<10-len(signedType))}, true},
	{[]string{signedType, strings.Repeat(",", 8<<10-len(signedType)+1)}, false},
}

// Content negotiation of RFC 9701 §4 and RFC 9110 §12.5.1.
func TestAcceptDecidesSigning(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, signedConfig(edKey(t)))
	for _, tt := range acceptTests {
		t.Run(strings.TrimRight(strings.Join(tt.accept, "|"), ","), func(t *testing.T) {
			t.Parallel()
			r := signedRequest("active", "")
			r.Header["Accept"] = tt.accept
			got := serve(t, h, r)
			assert.Equal(t, 200, got.status)
			want := isJSON
			if tt.signed {
				want = "Content-Type: " + signedType
			}
			assert.Equal(t, want, got.header)
		})
	}
}

// Without a key every answer is plain, regardless of the Accept field.
func TestNothingIsSignedWithoutAKey(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, endpoint.IntrospectionConfig{})
	assert.Equal(t, activeAnswer(`{"active":true,"sub":"alice","token_type":"Bearer"}`), serve(t, h, signedRequest("active", signedType)))
}

func TestSigningConfigMistakesAreReported(t *testing.T) {
	t.Parallel()
	ec := ecKey(t, elliptic.P256())
	const misfit, useless = "Key: the key is missing, or does not sign with Algorithm", "Key: the key cannot sign"
	for _, tt := range []struct {
		name   string
		issuer string
		key    crypto.Signer
		alg    string
		want   string
	}{
		{"good", "https://as.example", ec, "ES256", ""},
		{"good, loopback", "http://127.0.0.1:1", ec, "ES256", ""},
		{"http", "http://as.example", ec, "ES256", "Issuer: want an https URL without a query (http only on loopback)"},
		{"query", "https://as.example?x", ec, "ES256", "Issuer: want an https URL without a query (http only on loopback)"},
		{"no algorithm", "https://as.example", ec, "", misfit},
		{"none", "https://as.example", ec, "none", misfit},
		{"HS256", "https://as.example", ec, "HS256", misfit},
		{"another curve", "https://as.example", ec, "ES384", misfit},
		{"another kind", "https://as.example", ec, "RS256", misfit},
		{"no key", "https://as.example", nil, "ES256", misfit},
		{"nil EC", "https://as.example", (*ecdsa.PrivateKey)(nil), "ES256", misfit},
		{"nil Ed25519", "https://as.example", ed25519.PrivateKey(nil), "EdDSA", useless},
		{"zero EC", "https://as.example", &ecdsa.PrivateKey{}, "ES256", useless},
		{"zero RSA", "https://as.example", &rsa.PrivateKey{}, "RS256", useless},
		{"small RSA", "https://as.example", rsaKey(t, 1024), "RS256", "Key: the key has less than 2048 bits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := endpoint.Introspection(endpoint.IntrospectionConfig{
				Introspector: knownTokens(), Auth: clients(), Signing: &endpoint.Signing{Issuer: tt.issuer, Key: tt.key, Algorithm: tt.alg},
			})
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, "endpoint: introspection: config: Signing."+tt.want)
		})
	}
}
