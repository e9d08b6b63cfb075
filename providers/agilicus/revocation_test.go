package agilicus_test

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
	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

const otherToken = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJjYW5hcnkyIn0.canary-signature"

// newScene returns a scene whose vendor answers an introspection with the answer, and a request that revokes by revoke.
func newScene(t *testing.T, answer string, revoke http.HandlerFunc, edit ...func(*agilicus.Config)) *vendortest.Scene[*agilicus.Client] {
	t.Helper()
	return vendortest.NewScene(t, vendortest.Stage[*agilicus.Client]{
		Path: "/v1/tokens/introspect", Revoke: revoke, Scope: "urn:agilicus:users:owner", Start: clock,
		Introspect: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) },
		New: func(base string, list oauthz.Revoker, now func() time.Time) (*agilicus.Client, error) {
			cfg := config(base, nil)
			cfg.Revoker, cfg.Now = list, now
			for _, e := range edit {
				e(&cfg)
			}
			return agilicus.New(cfg)
		},
	})
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	suite := vendortest.Suite[*agilicus.Client]{
		Vendor: "agilicus", Token: jwt, Other: otherToken, Secret: "canary",
		Scene: func(t *testing.T, revoke http.HandlerFunc, revoker ...oauthz.Revoker) *vendortest.Scene[*agilicus.Client] {
			return newScene(t, good, revoke, func(cfg *agilicus.Config) {
				if len(revoker) > 0 {
					cfg.Revoker = revoker[0]
				}
			})
		},
		Operations: []vendortest.Operation[*agilicus.Client]{{
			Name: "revoke", Success: 204, Call: func(ctx context.Context, c *agilicus.Client) error {
				return c.Revoke(ctx, jwt, agilicus.RevokeOptions{})
			},
		}},
	}
	suite.Run(t)
}

func TestRevokerConfig(t *testing.T) {
	t.Parallel()
	vendortest.RunRevokerConfig(t, "agilicus", func(revoker oauthz.Revoker, lifetime time.Duration) error {
		_, err := agilicus.New(agilicus.Config{Audience: []string{audience}, Revoker: revoker, MaxTokenLifetime: lifetime})
		return err
	})
}

func TestRecord(t *testing.T) {
	t.Parallel()
	list := &vendortest.Records{}
	var base string
	keep := func(lifetime time.Duration) func(*agilicus.Config) {
		return func(cfg *agilicus.Config) {
			base = cfg.BaseURL
			cfg.BaseURL += "/"
			cfg.Revoker, cfg.MaxTokenLifetime = list, lifetime
		}
	}
	entry := func(token string, expires time.Time) oauthz.Revocation {
		return oauthz.Revocation{
			Match:   map[string]any{"iss": base, oauthz.MatchTokenHash: oauthz.TokenHash(token)},
			Expires: expires, Reason: "agilicus: revoke", At: clock,
		}
	}
	s := newScene(t, good, vendortest.Answering(204), keep(0))
	require.NoError(t, s.Client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{AllSessions: true}))
	assert.Equal(t, []oauthz.Revocation{entry(jwt, time.Time{})}, list.Revs)
	s = newScene(t, good, vendortest.Answering(500), keep(time.Hour))
	require.Error(t, s.Client.Revoke(t.Context(), otherToken, agilicus.RevokeOptions{}))
	assert.Equal(t, entry(otherToken, clock.Add(time.Hour)), list.Revs[1])
	require.Len(t, list.Revs, 2)
}

// An operation that fails before Agilicus is called records nothing.
func TestNothingIsRecordedIfNothingIsSent(t *testing.T) {
	t.Parallel()
	list := &vendortest.Records{}
	s := newScene(t, good, vendortest.Answering(204), func(cfg *agilicus.Config) { cfg.Revoker = list })
	for _, no := range []string{"", "opaque", "Bearer " + jwt, jwt + "\n", jwt + ".x", "a..c", "a.b." + strings.Repeat("c", oauthz.MaxTokenBytes)} {
		require.Error(t, s.Client.Revoke(t.Context(), oauthz.Secret(no), agilicus.RevokeOptions{}))
	}
	assert.Empty(t, list.Revs)
	assert.Zero(t, s.Revoked.Load())
}

// An iss, which the documentation does not have, does not prevent a revocation.
func TestRevokedTokenThatNamesAnIssuer(t *testing.T) {
	t.Parallel()
	s := newScene(t, with(`"jti"`, `"iss":"https://auth.example","jti"`), vendortest.Answering(503))
	s.WantAccepted(t, jwt)
	require.Error(t, s.Client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
	s.WantRefused(t, jwt)
}

// A JWT has other encodings, for example of its signature: a revocation covers all of them.
func TestRevokedInEveryEncoding(t *testing.T) {
	t.Parallel()
	s := newScene(t, good, vendortest.Answering(503))
	other := jwt[:strings.LastIndexByte(jwt, '.')] + ".another-signature"
	s.WantAccepted(t, other)
	require.Error(t, s.Client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
	s.WantRefused(t, other)
	s.WantAccepted(t, otherToken)
}

// The doc comment of Revoke describes this way to refuse the other tokens of AllSessions.
func TestRevokeAllSessionsHereToo(t *testing.T) {
	t.Parallel()
	s := newScene(t, good, vendortest.Answering(204))
	s.WantAccepted(t, otherToken)
	token, err := s.Client.Introspect(t.Context(), jwt)
	require.NoError(t, err)
	require.NoError(t, s.Client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{AllSessions: true}))
	s.WantAccepted(t, otherToken)
	require.NoError(t, s.List.Revoke(t.Context(), oauthz.Revocation{
		Match: map[string]any{"iss": token.Issuer, "sub": token.Subject}, IssuedUntil: clock,
	}))
	s.WantRefused(t, otherToken)
}
