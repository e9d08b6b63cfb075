package endpoint_test

import (
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// introspecting is an authorization server that verifies JWTs when it is asked, and an
// introspector that asks it.
func introspecting(t *testing.T) (*oauthztest.Server, oauthz.Introspector) {
	t.Helper()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: atNoon})
	t.Cleanup(as.Close)
	verifier, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, Now: atNoon})
	require.NoError(t, err)
	server := httptest.NewServer(introspection(t, endpoint.IntrospectionConfig{Introspector: verifier}))
	t.Cleanup(server.Close)
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: server.URL, Issuer: as.Issuer(), Auth: remote.Basic(client, secret), Audience: []string{audience}, Now: atNoon,
	})
	require.NoError(t, err)
	return as, in
}

// A JWT that a server introspects is revoked with every encoding of its
// signature, also where nothing but its bytes names it.
func TestRevokedRemoteJWTIsRefused(t *testing.T) {
	t.Parallel()
	absent := oauthztest.Absent
	for name, given := range map[string]oauthztest.Claims{
		"jti":                 {},
		"iat":                 {"jti": absent},
		"neither jti nor iat": {"jti": absent, "iat": absent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as, in := introspecting(t)
			claims := oauthztest.Claims{"client_id": client}
			for name, value := range given {
				claims[name] = value
			}
			token := as.Mint(claims)
			claims["sub"] = "another"
			other := as.Mint(claims)
			revoked := &oauthz.Revocations{Now: atNoon}
			guard, err := oauthz.New(oauthz.Config{Introspector: in, Revocations: []oauthz.RevocationList{revoked}, Now: atNoon})
			require.NoError(t, err)
			statuses := func() []int {
				return []int{statusBehind(guard, token), statusBehind(guard, highS(t, token)), statusBehind(guard, other)}
			}
			require.Equal(t, []int{204, 204, 204}, statuses())

			h := revocation(t, endpoint.RevocationConfig{Introspector: in, Revoker: revoked})
			require.Equal(t, done, serve(t, h, post(url.Values{"token": {token}})))
			assert.Equal(t, []int{401, 401, 204}, statuses(), "token, a second encoding of its signature, other")
		})
	}
}

// What a client of a vendor records names every encoding as well.
func TestRemoteJWTRecordedByAVendorsClientIsRefused(t *testing.T) {
	t.Parallel()
	as, in := introspecting(t)
	token := as.Mint(oauthztest.Claims{"jti": oauthztest.Absent, "iat": oauthztest.Absent})
	list := &oauthz.Revocations{Now: atNoon}
	r := remote.Recorder{Vendor: "acme", Issuer: as.Issuer(), Revoker: list, Now: atNoon}
	require.NoError(t, list.Revoke(t.Context(), r.OfToken(token, time.Hour)))
	for name, spelling := range map[string]string{"as issued": token, "a second encoding of the signature": highS(t, token)} {
		got, err := in.Introspect(t.Context(), spelling)
		require.NoError(t, err)
		revoked, err := list.Revoked(t.Context(), got)
		require.NoError(t, err)
		assert.True(t, revoked, name)
	}
}
