package endpoint_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
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

// knownTokens returns an introspector of the tokens that the tests send.
func knownTokens() oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		tokens := map[string]string{
			"active":  fmt.Sprintf(`{"iss":"https://as.example","aud":%q,"sub":"alice","client_id":"c","scope":"read write","exp":%d,"jti":"7","roles":["a"]}`, audience, unixAt(time.Hour)),
			"bound":   fmt.Sprintf(`{"aud":%q,"sub":"alice","cnf":{"jkt":"k"}}`, audience),
			"expired": fmt.Sprintf(`{"aud":%q,"sub":"alice","exp":1}`, audience),
			"refresh": fmt.Sprintf(`{"aud":%q,"sub":"alice","token_use":"refresh"}`, audience),
			"foreign": `{"aud":"https://other.example","sub":"alice"}`,
		}
		switch claims, ok := tokens[token]; {
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

// introspectionServer starts a server with an introspection endpoint and the keys of its signed answers.
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

// Package remote understands the answers of this package, plain and signed, and both
// read the same token from them.
func TestRemoteReadsTheAnswers(t *testing.T) {
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
	if cfg.Issuer == "" { // the iss of a signed answer must be the issuer of the answer
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
	assert.Equal(t, 401, guardedStatus(guardOf(t, in), "bound"), "nothing checks the proof of possession")
	for token, want := range map[string]error{"expired": oauthz.ErrInactive, "refresh": oauthz.ErrInactive, "unknown": oauthz.ErrInactive, "foreign": oauthz.ErrInvalidToken} {
		_, err := in.Introspect(t.Context(), token)
		assert.ErrorIs(t, err, want, token)
	}
	_, err = in.Introspect(t.Context(), "fault")
	require.Error(t, err)
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
	var e *oauthz.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 42*time.Second, e.RetryAfter, "the retry time is passed on")
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

// A client that cannot authenticate gets no answer about a token, and its Guard answers 503, not 401.
func TestRemoteWithWrongCredentialsGets503(t *testing.T) {
	t.Parallel()
	s := introspectionServer(t, nil, "")
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: s.URL + "/introspect", Auth: remote.Basic(client, "wrong"), Audience: []string{audience}, Now: atNoon,
	})
	require.NoError(t, err)
	assert.Equal(t, 503, guardedStatus(guardOf(t, in), "active"))
}

// A client that requires signed answers does not accept the plain ones of an endpoint that cannot sign.
func TestRemoteRefusesPlainAnswersIfItRequiresSigned(t *testing.T) {
	t.Parallel()
	s := introspectionServer(t, nil, "")
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: s.URL + "/introspect", Auth: remote.Basic(client, secret), Audience: []string{audience}, Now: atNoon,
		Issuer: s.URL, Signed: &remote.Signed{Audience: client, JWKSURL: s.URL + "/jwks"},
	})
	require.NoError(t, err)
	assert.Equal(t, 503, guardedStatus(guardOf(t, in), "active"))
}
