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
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/remote"
)

const audience = "https://api.example"

// known is an introspector of the tokens that tests ask about.
func knownTokens() oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		said := map[string]string{
			"active":  fmt.Sprintf(`{"iss":"https://as.example","aud":%q,"sub":"alice","client_id":"c","scope":"read write","exp":%d,"jti":"7","roles":["a"]}`, audience, unixAt(time.Hour)),
			"bound":   fmt.Sprintf(`{"aud":%q,"sub":"alice","cnf":{"jkt":"k"}}`, audience),
			"over":    fmt.Sprintf(`{"aud":%q,"sub":"alice","exp":1}`, audience),
			"refresh": fmt.Sprintf(`{"aud":%q,"sub":"alice","token_use":"refresh"}`, audience),
			"others":  `{"aud":"https://other.example","sub":"alice"}`,
		}
		switch claims, ok := said[token]; {
		case ok:
			return oauthz.ParseToken([]byte(claims))
		case token == "fault":
			return nil, retryableError(503, 42*time.Second)
		case token == "panic":
			panic("canary")
		}
		return nil, oauthz.ErrUnrecognized
	})
}

// server serves an introspection endpoint, and the keys of its signed answers.
func introspectionServer(t *testing.T, key crypto.Signer, alg string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	cfg := endpoint.IntrospectionConfig{Introspector: knownTokens()}
	if key != nil {
		cfg.Signing = &endpoint.Signing{Issuer: s.URL, Key: key, Algorithm: alg, KeyID: "k1"}
		jwks := fmt.Sprintf(`{"keys":[%s]}`, publicJWK(t, key.Public()))
		mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, jwks) })
	}
	mux.Handle("/introspect", introspectionHandler(t, cfg))
	return s
}

func publicJWK(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"kid":"k1","kty":"RSA","n":%q,"e":"AQAB"}`, encode(public.N.Bytes()))
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		require.NoError(t, err)
		return fmt.Sprintf(`{"kid":"k1","kty":"EC","crv":%q,"x":%q,"y":%q}`, public.Params().Name, encode(point[1:1+len(point)/2]), encode(point[1+len(point)/2:]))
	default:
		return fmt.Sprintf(`{"kid":"k1","kty":"OKP","crv":"Ed25519","x":%q}`, encode(public.(ed25519.PublicKey)))
	}
}

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

// TestRemote: package remote understands what this package answers, plain and
// signed, and both ends of the project agree on what a token is.
func TestRemote(t *testing.T) {
	t.Parallel()
	type end struct {
		name string
		key  crypto.Signer
		alg  string
	}
	for _, e := range []end{
		{"plain", nil, ""},
		{"RS256", rsaKey(t, 2048), "RS256"},
		{"PS384", rsaKey(t, 2048), "PS384"},
		{"ES256", ecKey(t, elliptic.P256()), "ES256"},
		{"ES512", ecKey(t, elliptic.P521()), "ES512"},
		{"EdDSA", edKey(t), "EdDSA"},
		{"Ed25519", edKey(t), "Ed25519"},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s := introspectionServer(t, e.key, e.alg)
			cfg := remote.Config{Endpoint: s.URL + "/introspect", Auth: remote.Basic(client, secret), Audience: []string{audience}, Now: atNoon}
			if e.key != nil {
				cfg.Signed, cfg.Issuer = &remote.Signed{Audience: client, JWKSURL: s.URL + "/jwks"}, s.URL
			}
			checkRemote(t, cfg)
			cfg.Auth = remote.Post(client, secret)
			checkRemote(t, cfg)
		})
	}
}

func checkRemote(t *testing.T, cfg remote.Config) {
	t.Helper()
	issuer := cfg.Issuer
	if issuer == "" {
		issuer = "https://as.example"
	}
	in, err := remote.New(t.Context(), cfg)
	require.NoError(t, err)
	if cfg.Issuer == "" { // signed answers are the issuer's own, so iss must be it
		token, err := in.Introspect(t.Context(), "active")
		require.NoError(t, err)
		assert.Equal(t, "alice c read write 7", strings.Join([]string{token.Subject, token.ClientID, token.Scopes.String(), token.ID}, " "))
		assert.Equal(t, issuer, token.Issuer)
		assert.Equal(t, noon.Add(time.Hour), token.ExpiresAt)
		roles, _ := token.Claim("roles")
		assert.Equal(t, `["a"]`, string(roles))
		assert.Nil(t, token.Confirmation)
	}
	token, err := in.Introspect(t.Context(), "bound")
	require.NoError(t, err)
	assert.Equal(t, &oauthz.Confirmation{JWKThumbprint: "k"}, token.Confirmation)
	assert.Equal(t, 401, guardedStatus(guardOf(t, in), "bound"), "IN-24: nobody confirms it")
	for token, want := range map[string]error{"over": oauthz.ErrInactive, "refresh": oauthz.ErrInactive, "unknown": oauthz.ErrInactive, "others": oauthz.ErrInvalidToken} {
		_, err := in.Introspect(t.Context(), token)
		assert.ErrorIs(t, err, want, token)
	}
	_, err = in.Introspect(t.Context(), "fault")
	require.Error(t, err)
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
	var e *oauthz.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 42*time.Second, e.RetryAfter, "how long to wait comes through")
	_, err = in.Introspect(t.Context(), "panic")
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
	require.Error(t, err)
}

func guardOf(t *testing.T, in oauthz.Introspector) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Introspector: in, Now: atNoon})
	require.NoError(t, err)
	return guard
}

// Whoever cannot authenticate learns nothing, and does not refuse good tokens for it.
func TestRemoteWithWrongCredentials(t *testing.T) {
	t.Parallel()
	s := introspectionServer(t, nil, "")
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: s.URL + "/introspect", Auth: remote.Basic(client, "wrong"), Audience: []string{audience}, Now: atNoon,
	})
	require.NoError(t, err)
	assert.Equal(t, 503, guardedStatus(guardOf(t, in), "active"))
}

// A client that takes signed answers only does not take the plain ones of an endpoint that cannot sign: IJ-10.
func TestRemoteWithoutSigning(t *testing.T) {
	t.Parallel()
	s := introspectionServer(t, nil, "")
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: s.URL + "/introspect", Auth: remote.Basic(client, secret), Audience: []string{audience}, Now: atNoon,
		Issuer: s.URL, Signed: &remote.Signed{Audience: client, JWKSURL: s.URL + "/jwks"},
	})
	require.NoError(t, err)
	assert.Equal(t, 503, guardedStatus(guardOf(t, in), "active"))
}

// signedConfig signs with a key whose signatures can be checked by hand.
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

// RFC 9701 §5, to the byte.
func TestSignedAnswer(t *testing.T) {
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

// RFC 9701 §4: what is no answer about the token is not signed.
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

// badSigner is a key that is kept elsewhere, out of reach.
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

// RFC 9701 §4 and RFC 9110 §12.5.1.
func TestAccept(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, signedConfig(edKey(t)))
	for _, tt := range []struct {
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
	} {
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

// Without a key there is one kind of answer, whatever is asked for.
func TestNothingIsSignedWithoutAKey(t *testing.T) {
	t.Parallel()
	h := introspectionHandler(t, endpoint.IntrospectionConfig{})
	assert.Equal(t, activeAnswer(`{"active":true,"sub":"alice","token_type":"Bearer"}`), serve(t, h, signedRequest("active", signedType)))
}
