package endpoint_test

import (
	"fmt"
	"net/http"
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
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// introspectingServer starts an authorization server that introspects its own JWTs.
// It returns the server, and an introspector that calls it.
func introspectingServer(t *testing.T) (*oauthztest.Server, oauthz.Introspector) {
	t.Helper()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: atNoon})
	t.Cleanup(as.Close)
	verifier, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, Now: atNoon})
	require.NoError(t, err)
	server := httptest.NewServer(introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: verifier}))
	t.Cleanup(server.Close)
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: server.URL, Issuer: as.Issuer(), Auth: remote.Basic(client, secret), Audience: []string{audience}, Now: atNoon,
	})
	require.NoError(t, err)
	return as, in
}

// If a server introspects a JWT, a revocation covers every encoding of its signature,
// even if only the bytes of the token name it.
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
			as, in := introspectingServer(t)
			claims := oauthztest.Claims{"client_id": client}
			for name, value := range given {
				claims[name] = value
			}
			token := as.Mint(claims)
			claims["sub"] = "another"
			other := as.Mint(claims)
			revoked := &oauthz.MemoryRevocations{Now: atNoon}
			guard, err := oauthz.New(oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{revoked}, Now: atNoon})
			require.NoError(t, err)
			statuses := func() []int {
				return []int{guardedStatus(guard, token), guardedStatus(guard, withHighS(t, token)), guardedStatus(guard, other)}
			}
			require.Equal(t, []int{204, 204, 204}, statuses())

			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: in, Revoker: revoked})
			require.Equal(t, revokedAnswer, serve(t, h, post(url.Values{"token": {token}})))
			assert.Equal(t, []int{401, 401, 204}, statuses(), "token, a second encoding of its signature, other")
		})
	}
}

// A record of a vendor's client also names every encoding.
func TestRemoteJWTRecordedByAVendorsClientIsRefused(t *testing.T) {
	t.Parallel()
	as, in := introspectingServer(t)
	token := as.Mint(oauthztest.Claims{"jti": oauthztest.Absent, "iat": oauthztest.Absent})
	list := &oauthz.MemoryRevocations{Now: atNoon}
	r := providers.Recorder{Vendor: "acme", Issuer: as.Issuer(), Revoker: list, Now: atNoon}
	require.NoError(t, list.Revoke(t.Context(), r.OfToken(token, time.Hour)))
	for name, encoding := range map[string]string{"as issued": token, "a second encoding of the signature": withHighS(t, token)} {
		got, err := in.Introspect(t.Context(), encoding)
		require.NoError(t, err)
		revoked, err := list.Revoked(t.Context(), got)
		require.NoError(t, err)
		assert.True(t, revoked, name)
	}
}

// slidingExpiry starts a server that moves exp at each introspection, and returns an introspector that calls it.
func slidingExpiry(t *testing.T, now func() time.Time) oauthz.Introspector {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"active":true,"iss":"i","client_id":%q,"aud":%q,"exp":%d}`, client, audience, now().Add(10*time.Minute).Unix())
	}))
	t.Cleanup(server.Close)
	in, err := remote.New(t.Context(), remote.Config{Endpoint: server.URL, Auth: remote.None(""), Audience: []string{audience}, Now: now})
	require.NoError(t, err)
	return in
}

// A revoked token whose server moves exp at each use is refused as long as it can live.
func TestRevokedTokenWhoseExpiryMovesIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lifetime time.Duration
		later    time.Duration
		want     int
	}{
		"configured without a lifetime": {0, 16 * time.Minute, 204},
		"within the lifetime":           {time.Hour, 59 * time.Minute, 401},
		"lifetime shorter than exp":     {time.Minute, 9 * time.Minute, 401},
		"no limit":                      {-1, 1000 * time.Hour, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &movingClock{}
			in := slidingExpiry(t, clock.now)
			revoked := &oauthz.MemoryRevocations{Now: clock.now}
			guard, err := oauthz.New(oauthz.Config{Introspector: in, RevocationLists: []oauthz.RevocationList{revoked}, Now: clock.now})
			require.NoError(t, err)
			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: in, Revoker: revoked, MaxTokenLifetime: tt.lifetime})
			require.Equal(t, 204, guardedStatus(guard, "opaque"))
			require.Equal(t, revokedAnswer, serve(t, h, postToken()))
			clock.move(tt.later)
			assert.Equal(t, tt.want, guardedStatus(guard, "opaque"))
		})
	}
}

// MaxTokenLifetime changes only records of tokens that a server introspects and that have an exp.
func TestRevocationKeptForMaxTokenLifetime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		remote   bool
		exp      string
		lifetime time.Duration
		want     time.Time
	}{
		"verified here":            {false, fmt.Sprint(unixAt(time.Minute)), time.Hour, noon.Add(time.Minute)},
		"verified here, unlimited": {false, fmt.Sprint(unixAt(time.Minute)), -1, noon.Add(time.Minute)},
		"longer than exp":          {true, fmt.Sprint(unixAt(time.Minute)), time.Hour, noon.Add(time.Hour)},
		"shorter than exp":         {true, fmt.Sprint(unixAt(time.Minute)), time.Second, noon.Add(time.Minute)},
		"default":                  {true, fmt.Sprint(unixAt(time.Minute)), 0, noon.Add(time.Minute)},
		"unlimited":                {true, fmt.Sprint(unixAt(time.Minute)), -1, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := parseToken(t, `{"iss":"i","jti":"7","client_id":"`+client+`","exp":`+tt.exp+`}`)
			if tt.remote {
				token.SetVerdict(oauthz.Verdict{TokenHash: oauthz.TokenHash("opaque")})
			}
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: answers(token, nil), Revoker: revoker, MaxTokenLifetime: tt.lifetime})
			require.Equal(t, revokedAnswer, serve(t, h, postToken()))
			require.Len(t, revoker.revs, 1)
			assert.Equal(t, tt.want, revoker.revs[0].Expires)
		})
	}
}
