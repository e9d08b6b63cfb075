package remote_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// sent returns the header and the form that the endpoint receives with auth.
func sent(t *testing.T, auth remote.ClientAuth) (http.Header, url.Values) {
	t.Helper()
	e := newEndpoint(t, active(``))
	in := e.introspector(t, func(c *remote.Config) { c.Auth = auth })
	require.Equal(t, ok, ask(t, in, "opaque"))
	last := e.received()[len(e.received())-1]
	form, err := url.ParseQuery(last.body)
	require.NoError(t, err)
	return last.header, form
}

// RFC 6749 §2.3.1: the client id and the secret are encoded first, except by
// BasicRaw.
func TestBasicEncodesCredentials(t *testing.T) {
	t.Parallel()
	header, form := sent(t, remote.Basic("my api", "p@ss:w%rd+/="))
	r := http.Request{Header: header}
	id, secret, _ := r.BasicAuth()
	assert.Equal(t, "my+api", id)
	assert.Equal(t, "p%40ss%3Aw%25rd%2B%2F%3D", secret)
	assert.NotContains(t, form, "client_id")

	header, _ = sent(t, remote.BasicRaw("my api", "p@ss:w%rd+/="))
	r = http.Request{Header: header}
	id, secret, _ = r.BasicAuth()
	assert.Equal(t, "my api", id)
	assert.Equal(t, "p@ss:w%rd+/=", secret)
}

func TestNoneSendsOnlyTheClientID(t *testing.T) {
	t.Parallel()
	header, form := sent(t, remote.None("api"))
	assert.Empty(t, header.Get("Authorization"))
	assert.Equal(t, url.Values{"token": {"opaque"}, "token_type_hint": {"access_token"}, "client_id": {"api"}}, form)
	_, form = sent(t, remote.None(""))
	assert.NotContains(t, form, "client_id")
}

func TestBearerCallsTheSourceForEachRequest(t *testing.T) {
	t.Parallel()
	n := 0
	source := func(context.Context) (oauthz.Secret, error) {
		if n++; n > 2 {
			return "", errors.New("c4n4ry")
		}
		return oauthz.Secret(fmt.Sprint("own-", n)), nil
	}
	e := newEndpoint(t, active(``))
	in := e.introspector(t, func(c *remote.Config) { c.Auth = remote.Bearer(source) })
	for i := range 2 {
		require.Equal(t, ok, ask(t, in, "opaque"))
		assert.Equal(t, fmt.Sprint("Bearer own-", i+1), e.received()[i].header.Get("Authorization"))
	}
	_, err := in.Introspect(t.Context(), "opaque")
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.NotContains(t, err.Error(), "c4n4ry")
	assert.Len(t, e.received(), 2)
}

// RFC 7523 §2.2, §3: each request has a new assertion.
func TestPrivateKeyJWTSignsANewAssertion(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	auth := remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Key: key, Algorithm: "ES256", KeyID: "k1", Audience: "https://issuer.example"})
	seen := map[any]bool{}
	for range 3 {
		header, form := sent(t, auth)
		assert.Empty(t, header.Get("Authorization"))
		assert.Equal(t, "api", form.Get("client_id"))
		assert.Equal(t, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", form.Get("client_assertion_type"))
		assertion, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
		require.NoError(t, err)
		claims := assertion.Claims.(jwt.MapClaims)
		assert.Equal(t, map[string]any{"alg": "ES256", "kid": "k1"}, assertion.Header)
		assert.Equal(t, "api", claims["iss"])
		assert.Equal(t, "api", claims["sub"])
		assert.Equal(t, "https://issuer.example", claims["aud"])
		assert.InDelta(t, 60, claims["exp"].(float64)-claims["iat"].(float64), 0)
		assert.False(t, seen[claims["jti"]], "a jti is used once")
		seen[claims["jti"]] = true
	}
}

func TestClientSecretJWTSignsWithTheSecret(t *testing.T) {
	t.Parallel()
	_, form := sent(t, remote.ClientSecretJWT("api", "a secret of 32 bytes, or longer..", ""))
	assertion, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return []byte("a secret of 32 bytes, or longer.."), nil })
	require.NoError(t, err)
	audience, err := assertion.Claims.GetAudience()
	require.NoError(t, err)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/introspect$`, audience[0])
}

// Without a bearer token, no request is sent.
func TestBearerWithoutATokenSendsNothing(t *testing.T) {
	t.Parallel()
	for token, err := range map[oauthz.Secret]error{"": nil, "expired": errors.New("cannot refresh")} {
		e := newEndpoint(t, active(``))
		in := e.introspector(t, func(c *remote.Config) {
			c.Auth = remote.Bearer(func(context.Context) (oauthz.Secret, error) { return token, err })
		})
		assert.Equal(t, fault, ask(t, in, "opaque"))
		assert.Empty(t, e.received())
	}
}

// kms is a signer that hides its key, as a key management service does.
type kms struct{ key crypto.Signer }

func (k kms) Public() crypto.PublicKey { return k.key.Public() }

func (k kms) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.key.Sign(random, digest, opts)
}

func TestPrivateKeyJWTAcceptsEverySigner(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for alg, key := range map[string]crypto.Signer{
		"RS256": rsaKey, "RS512": rsaKey, "PS256": rsaKey, "PS384": rsaKey, "ES256": p256, "ES512": p521, "EdDSA": edKey,
	} {
		_, form := sent(t, remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Key: kms{key}, Algorithm: alg}))
		_, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return key.Public(), nil }, jwt.WithValidMethods([]string{alg}))
		assert.NoError(t, err, alg)
	}
	var none *rsa.PrivateKey
	for alg, key := range map[string]crypto.Signer{"RS256": none, "ES384": kms{p256}, "EdDSA": kms{rsaKey}, "HS256": kms{edKey}, "none": kms{edKey}} {
		_, err := remote.New(t.Context(), remote.Config{
			Endpoint: "https://issuer.example/i", Audience: []string{audience},
			Auth: remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Key: key, Algorithm: alg}),
		})
		assert.Error(t, err, alg)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.Equal(t, "remote.PrivateKey", fmt.Sprintf(verb, remote.PrivateKey{Key: edKey}))
	}
}
