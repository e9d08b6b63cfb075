package gusto_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/gusto"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

const (
	companyID      = "7b1d0df1-6403-4a06-8768-c1dd7d24d27a"
	otherToken     = "canary-token-of-another-company-wF0WUF6iCQo"
	otherCompanyID = "0a7e5d3c-0000-4a06-8768-c1dd7d24d27a"
)

// newScene returns a scene with two companies, which have token and otherToken. The
// vendor answers the requests that revoke by revoke.
func newScene(t *testing.T, revoke http.HandlerFunc, revoker ...oauthz.Revoker) *vendortest.Scene[*gusto.Client] {
	t.Helper()
	return vendortest.NewScene(t, vendortest.Stage[*gusto.Client]{
		Path: "/v1/token_info", Revoke: revoke, Scope: "read", TTL: 2 * time.Hour, Start: epoch,
		Introspect: func(w http.ResponseWriter, r *http.Request) {
			id := companyID
			if r.Header.Get("Authorization") == "Bearer "+otherToken {
				id = otherCompanyID
			}
			_, _ = fmt.Fprintf(w, `{"scope":"read","resource":{"type":"Company","uuid":%q},"resource_owner":null}`, id)
		},
		New: func(base string, list oauthz.Revoker, now func() time.Time) (*gusto.Client, error) {
			if len(revoker) > 0 {
				list = revoker[0]
			}
			return gusto.New(gusto.Config{
				BaseURL: base + "/", ClientID: "app", ClientSecret: secret, InsecureAnyClient: true, Revoker: list, Now: now,
			})
		},
	})
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	suite := vendortest.Suite[*gusto.Client]{
		Vendor: "gusto", Token: token, Other: otherToken, Secret: "canary", Scene: newScene,
		Operations: []vendortest.Operation[*gusto.Client]{
			{Name: "revoke", Success: 200, Call: func(ctx context.Context, c *gusto.Client) error { return c.Revoke(ctx, token) }},
			{Name: "disconnect_app_integration", Success: 204, Call: func(ctx context.Context, c *gusto.Client) error {
				return c.DisconnectAppIntegration(ctx, "canary-system-token", companyID)
			}},
		},
	}
	suite.Run(t)
}

func TestRecord(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.Empty(204))
	list := &vendortest.Records{}
	c := client(t, v, func(cfg *gusto.Config) { cfg.Revoker = list })
	require.Error(t, c.Revoke(t.Context(), token))
	company := func(id string) oauthz.Revocation {
		return oauthz.Revocation{
			Match: map[string]any{"iss": v.URL, oauthz.MatchTenant: "Company/" + id}, IssuedUntil: epoch,
			Expires: epoch.Add(2 * time.Hour), Reason: "gusto: disconnect_app_integration", At: epoch,
		}
	}
	require.NoError(t, c.DisconnectAppIntegration(t.Context(), token, companyID))
	require.NoError(t, c.DisconnectAppIntegration(t.Context(), token, strings.ToUpper(companyID)))
	assert.Equal(t, []oauthz.Revocation{
		{
			Match:   map[string]any{"iss": v.URL, oauthz.MatchTokenHash: oauthz.TokenHash(token)},
			Expires: epoch.Add(4 * time.Hour), Reason: "gusto: revoke", At: epoch,
		},
		company(companyID), company(strings.ToUpper(companyID)), company(companyID),
	}, list.Revs)
	assert.NotContains(t, fmt.Sprintf("%+v", list.Revs), "canary")
}

// Gusto writes a UUID in lower case. Other systems do not.
func TestCompanyInCapitals(t *testing.T) {
	t.Parallel()
	s := newScene(t, vendortest.Answering(404))
	s.WantAccepted(t, token)
	require.Error(t, s.Client.DisconnectAppIntegration(t.Context(), "system", strings.ToUpper(companyID)))
	s.WantRefused(t, token)
	s.WantAccepted(t, otherToken)
}

// An operation that fails before Gusto is called records nothing.
func TestNothingIsRecordedIfNothingIsSent(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.Empty(200))
	list := &vendortest.Records{}
	c := client(t, v, func(cfg *gusto.Config) { cfg.Revoker = list })
	poor := client(t, v, func(cfg *gusto.Config) { cfg.Revoker, cfg.ClientID, cfg.ClientSecret = list, "", "" })
	require.Error(t, poor.Revoke(t.Context(), token))
	for _, no := range []string{"", "a b", "Bearer " + token, "é", "a.b.c", strings.Repeat("a", oauthz.MaxTokenBytes+1)} {
		require.Error(t, c.Revoke(t.Context(), no))
		require.Error(t, c.DisconnectAppIntegration(t.Context(), oauthz.Secret(no), companyID))
	}
	for _, id := range []string{"", ".", ".."} {
		require.Error(t, c.DisconnectAppIntegration(t.Context(), token, id))
	}
	assert.Empty(t, list.Revs)
	assert.Empty(t, v.Requests())
}

// A token that Gusto failed to revoke can be introspected once more before it expires, and that verdict ends before the record
// expires.
func TestRecordOutlivesEveryVerdict(t *testing.T) {
	t.Parallel()
	s := newScene(t, vendortest.Answering(503))
	s.WantAccepted(t, token)
	require.Error(t, s.Client.Revoke(t.Context(), token))
	s.SetTime(2*time.Hour - time.Minute)
	introspected := s.Introspected.Load()
	s.WantUnauthorized(t, token)
	s.SetTime(2 * time.Hour)
	s.WantUnauthorized(t, token)
	assert.Equal(t, introspected+2, s.Introspected.Load(), "each cache introspected it again, at the end of the first verdict")
	for _, at := range []time.Duration{2*time.Hour + oauthz.MaxLeeway, 4*time.Hour - time.Second} {
		s.SetTime(at)
		s.WantRefused(t, token)
	}
}

// The new tokens of a company that connects again are refused until the record expires: Gusto does not send when they were issued.
func TestCompanyThatConnectsAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, vendortest.Answering(204))
	require.NoError(t, s.Client.DisconnectAppIntegration(t.Context(), "system", companyID))
	s.SetTime(2*time.Hour + oauthz.MaxLeeway - time.Second)
	s.WantUnauthorized(t, token)
	s.SetTime(2*time.Hour + oauthz.MaxLeeway)
	s.WantAccepted(t, token)
}

// secretList holds a password, which package fmt would print.
type secretList struct{ password string }

func (secretList) Revoke(context.Context, ...oauthz.Revocation) error { return nil }

func TestRevokerConfig(t *testing.T) {
	t.Parallel()
	_, err := gusto.New(gusto.Config{InsecureAnyClient: true, Revoker: (*oauthz.MemoryRevocations)(nil)})
	require.EqualError(t, err, "gusto: config: Revoker is a nil pointer or function inside the interface")
	c, err := gusto.New(gusto.Config{InsecureAnyClient: true, Revoker: secretList{"canary"}})
	require.NoError(t, err)
	vendortest.AssertSilent(t, c)
}
