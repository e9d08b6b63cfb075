package polar_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
	"github.com/oauthz/oauthz/providers/polar"
)

// newScene returns a scene whose vendor answers an introspection with the answer, and a request that revokes by revoke.
func newScene(t *testing.T, answer string, revoke http.HandlerFunc, edit ...func(*polar.Config)) *vendortest.Scene[*polar.Client] {
	t.Helper()
	return vendortest.NewScene(t, vendortest.Stage[*polar.Client]{
		Path: "/v1/oauth2/introspect", Revoke: revoke, Scope: "openid", Start: clock,
		Introspect: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) },
		New: func(base string, list oauthz.Revoker, now func() time.Time) (*polar.Client, error) {
			cfg := polar.Config{BaseURL: base, ClientID: clientID, ClientSecret: clientSecret, Revoker: list, Now: now}
			for _, e := range edit {
				e(&cfg)
			}
			return polar.New(cfg)
		},
	})
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	suite := vendortest.Suite[*polar.Client]{
		Vendor: "polar", Token: accessToken(), Other: otherToken(), Secret: random,
		Scene: func(t *testing.T, revoke http.HandlerFunc, revoker ...oauthz.Revoker) *vendortest.Scene[*polar.Client] {
			return newScene(t, active, revoke, func(cfg *polar.Config) {
				if len(revoker) > 0 {
					cfg.Revoker = revoker[0]
				}
			})
		},
		Operations: []vendortest.Operation[*polar.Client]{{
			Name: "revoke", Success: 200, Call: func(ctx context.Context, c *polar.Client) error {
				return c.Revoke(ctx, oauthz.Secret(accessToken()), polar.NoHint)
			},
		}},
	}
	suite.Run(t)
}

func TestRevokerConfig(t *testing.T) {
	t.Parallel()
	vendortest.RunRevokerConfig(t, "polar", func(revoker oauthz.Revoker, lifetime time.Duration) error {
		_, err := polar.New(polar.Config{ClientID: clientID, ClientSecret: clientSecret, Revoker: revoker, MaxTokenLifetime: lifetime})
		return err
	})
}

func TestRecord(t *testing.T) {
	t.Parallel()
	list := &vendortest.Records{}
	keep := func(lifetime time.Duration) func(*polar.Config) {
		return func(cfg *polar.Config) { cfg.Revoker, cfg.MaxTokenLifetime = list, lifetime }
	}
	s := newScene(t, active, vendortest.Answering(200), keep(0))
	require.NoError(t, s.Client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint))
	require.NoError(t, s.Client.Revoke(t.Context(), oauthz.Secret(refreshToken()), polar.NoHint)) // no request is accepted with a refresh token
	require.NoError(t, s.Client.Revoke(t.Context(), oauthz.Secret(refreshToken()), polar.HintRefreshToken))
	s = newScene(t, active, vendortest.Answering(500), keep(240*time.Hour))
	require.Error(t, s.Client.Revoke(t.Context(), oauthz.Secret(otherToken()), polar.HintRefreshToken)) // it is an access token, although the hint differs
	entry := func(token string, expires time.Time) oauthz.Revocation {
		return oauthz.Revocation{
			Match:   map[string]any{"iss": "https://polar.sh", oauthz.MatchTokenHash: oauthz.TokenHash(token)},
			Expires: expires, Reason: "polar: revoke", At: clock,
		}
	}
	assert.Equal(t, []oauthz.Revocation{entry(accessToken(), time.Time{}), entry(otherToken(), clock.Add(240*time.Hour))}, list.Revs)
}

// An operation that fails before Polar is called records nothing.
func TestNothingIsRecordedIfNothingIsSent(t *testing.T) {
	t.Parallel()
	list := &vendortest.Records{}
	s := newScene(t, active, vendortest.Answering(200), func(cfg *polar.Config) { cfg.Revoker = list })
	good := accessToken()
	for _, no := range []string{"", good + "x", good[:len(good)-1], "Bearer " + good, good + "\n", "a.b.c", clientSecret} {
		require.Error(t, s.Client.Revoke(t.Context(), oauthz.Secret(no), polar.NoHint))
	}
	require.Error(t, s.Client.Revoke(t.Context(), oauthz.Secret(good), "id_token"))
	assert.Empty(t, list.Revs)
	assert.Zero(t, s.Revoked.Load())
}

// The sandbox has the same issuer, and an answer may name no issuer: the record matches in both cases.
func TestRevokedTokenWithoutIssuer(t *testing.T) {
	t.Parallel()
	s := newScene(t, with(`"iss":"https://polar.sh",`, ``), vendortest.Answering(503))
	s.WantAccepted(t, accessToken())
	require.Error(t, s.Client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint))
	s.WantRefused(t, accessToken())
}

// otherToken returns a second token, with the checksum of its own random part.
func otherToken() string { return mint("polar_at_o_", strings.ToLower(random)) }
