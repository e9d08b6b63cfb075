package interop_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// apiKeys returns the keys of an API that authenticates by private_key_jwt, by algorithm, and the public keys that it
// registers.
type apiKeys struct {
	signers map[string]crypto.Signer
	jwks    []privateJWK
}

func newAPIKeys(t *testing.T) apiKeys {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := apiKeys{
		signers: map[string]crypto.Signer{"RS256": rsaKey, "PS256": rsaKey, "ES256": ecKey, "EdDSA": edKey},
		jwks:    []privateJWK{rsaJWK(rsaKey).public(), ecJWK(t, ecKey).public(), edJWK(edKey).public()},
	}
	for _, key := range keys.jwks {
		key["kid"] = key["kty"]
	}
	return keys
}

// secretForHMAC is long enough for HS256 (RFC 7518 §3.2).
const secretForHMAC = "a secret of more than 32 bytes: for HS256"

// auth returns private_key_jwt with one of the keys, or with the key that is given.
func (keys apiKeys) auth(key remote.PrivateKey) remote.ClientAuth {
	key.ClientID = "keys"
	if key.Key == nil {
		key.Key = keys.signers[key.Algorithm]
	}
	return remote.PrivateKeyJWT(key)
}

type clientAuthTest struct {
	name string
	auth remote.ClientAuth
}

// acceptedClientAuth returns credentials that p accepts.
func acceptedClientAuth(p *provider, keys apiKeys) []clientAuthTest {
	return []clientAuthTest{
		{"client_secret_basic", remote.Basic("reports:api", specialSecret)},
		{"client_secret_post", remote.Post("post", specialSecret)},
		{"client_secret_jwt", remote.ClientSecretJWT("hmac", secretForHMAC, "")},
		{"client_secret_jwt for the issuer", remote.ClientSecretJWT("hmac", secretForHMAC, p.issuer)},
		{"private_key_jwt RS256", keys.auth(remote.PrivateKey{Algorithm: "RS256", KeyID: "RSA"})},
		{"private_key_jwt PS256", keys.auth(remote.PrivateKey{Algorithm: "PS256", KeyID: "RSA"})},
		{"private_key_jwt ES256", keys.auth(remote.PrivateKey{Algorithm: "ES256", KeyID: "EC"})},
		{"private_key_jwt EdDSA", keys.auth(remote.PrivateKey{Algorithm: "EdDSA", KeyID: "OKP"})},
		{"private_key_jwt without kid", keys.auth(remote.PrivateKey{Algorithm: "ES256"})},
		{"private_key_jwt for the issuer", keys.auth(remote.PrivateKey{Algorithm: "ES256", Audience: p.issuer})},
		{"private_key_jwt for the token endpoint", keys.auth(remote.PrivateKey{Algorithm: "ES256", Audience: p.issuer + "/token"})},
	}
}

// refusedClientAuth returns credentials that the provider refuses. It does not know the keys in foreign.
func refusedClientAuth(keys, foreign apiKeys) []clientAuthTest {
	return []clientAuthTest{
		{"basic: wrong secret", remote.Basic("reports:api", "guess")},
		{"basic: unknown client", remote.Basic("nobody", specialSecret)},
		{"basic: secret not encoded", remote.BasicRaw("reports%3Aapi", specialSecret)},
		{"post: wrong secret", remote.Post("post", "guess")},
		{"client_secret_jwt: wrong secret", remote.ClientSecretJWT("hmac", "guess that is long enough for HS256", "")},
		{"client_secret_jwt: another audience", remote.ClientSecretJWT("hmac", secretForHMAC, "https://elsewhere.example")},
		{"private_key_jwt: foreign key", keys.auth(remote.PrivateKey{Algorithm: "ES256", Key: foreign.signers["ES256"]})},
		{"private_key_jwt: another audience", keys.auth(remote.PrivateKey{Algorithm: "ES256", Audience: "https://elsewhere.example"})},
		{"none for a client with a secret", remote.None("reports:api")},
		{"none at all", remote.None("")},
		{"a bearer token, which this server does not take", remote.Bearer(func(context.Context) (oauthz.Secret, error) { return "token", nil })},
		{"no bearer token to be had", remote.Bearer(func(context.Context) (oauthz.Secret, error) { return "", errors.New("down") })},
	}
}

func TestOIDCProviderClientAuthentication(t *testing.T) {
	t.Parallel()
	keys, foreign := newAPIKeys(t), newAPIKeys(t)
	p := startProvider(t,
		reportsAPI,
		introspecting("post", "client_secret_post", clientMetadata{"client_secret": specialSecret}),
		introspecting("hmac", "client_secret_jwt", clientMetadata{"client_secret": secretForHMAC}),
		introspecting("keys", "private_key_jwt", clientMetadata{"jwks": map[string]any{"keys": keys.jwks}}),
	)
	for _, tt := range acceptedClientAuth(p, keys) {
		t.Run(tt.name, func(t *testing.T) { assertAsks(t, p, tt.auth) })
	}
	for _, tt := range refusedClientAuth(keys, foreign) {
		t.Run(tt.name, func(t *testing.T) { assertCannotAsk(t, p, tt.auth) })
	}
}

// assertAsks checks that p answers introspection requests of an API that authenticates like this, for a valid token and for
// an invalid one, and more than once: an assertion is valid for one request only.
func assertAsks(t *testing.T, p *provider, auth remote.ClientAuth) {
	t.Helper()
	cfg := asReportsAPI(p)
	cfg.Auth = auth
	a := newIntrospectingAPI(t, cfg)
	for range 2 {
		assertServed(t, a.api, p, "RS256", p.mustMint(t, "RS256", reports, "orders:read"))
		a.assertSource(t, oauthz.SourceFresh)
	}
	a.assertRefused(t, invalidToken, "no-token-of-this-server")
	a.assertCause(t, oauthz.ErrInactive)
}

// assertCannotAsk checks that a refusal of the API's own credentials by p is not used as a verdict on a token, valid or not.
func assertCannotAsk(t *testing.T, p *provider, auth remote.ClientAuth) {
	t.Helper()
	cfg := asReportsAPI(p)
	cfg.Auth = auth
	a := newIntrospectingAPI(t, cfg)
	for _, token := range []string{p.mustMint(t, "RS256", reports, "orders:read"), "no-token-of-this-server"} {
		assertUnavailable(t, a.mustGet(t, token))
		a.assertCause(t, oauthz.ErrUnavailable)
		a.assertNotCause(t, oauthz.ErrInvalidToken)
	}
	assert.Zero(t, a.served.Load())
}
