package interop_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// clientMetadata describes a client, as RFC 7591 §2 does.
type clientMetadata map[string]any

// introspecting returns the metadata of an API that introspects, a client that gets no tokens itself.
func introspecting(id, method string, more clientMetadata) clientMetadata {
	c := clientMetadata{
		"client_id": id, "token_endpoint_auth_method": method,
		"grant_types": []string{}, "response_types": []string{}, "redirect_uris": []string{},
	}
	for name, value := range more {
		c[name] = value
	}
	return c
}

// specialSecret needs the encoding of RFC 6749 §2.3.1: each of its special characters has a meaning in a Basic credential or
// in a form, and %rd is not an encoded byte.
const specialSecret = "p@ss:w%rd+/="

// reportsAPI is a client whose id has special characters too.
var reportsAPI = introspecting("reports:api", "client_secret_basic", clientMetadata{"client_secret": specialSecret})

// asReportsAPI returns a configuration that introspects tokens for reports at p.
func asReportsAPI(p *provider) remote.Config {
	return remote.Config{
		Issuer: p.issuer, Auth: remote.Basic("reports:api", specialSecret), Audience: []string{reports},
	}
}

var invalidToken = refusal{status: http.StatusUnauthorized, error: "invalid_token"}

type introspectionTest struct {
	name, token string
	want        refusal
	cause       error
}

// refusedTokens returns tokens that an API with the audience reports refuses, and its answers.
func refusedTokens(t *testing.T, p *provider) []introspectionTest {
	t.Helper()
	insufficientScope := refusal{status: http.StatusForbidden, error: "insufficient_scope", scope: "orders:read"}
	return []introspectionTest{
		{
			name: "missing scope", token: p.mustMint(t, "RS256", reports, "orders:write"),
			want: insufficientScope, cause: oauthz.ErrInsufficientScope,
		},
		{
			name: "no scope at all", token: p.mustMint(t, "RS256", reports, ""),
			want: insufficientScope, cause: oauthz.ErrInsufficientScope,
		},
		{
			name: "other audience", token: p.mustMint(t, "RS256", archive, "orders:read"),
			want: invalidToken, cause: oauthz.ErrInvalidToken,
		},
		{
			name: "no audience", token: p.mustMint(t, "RS256", "", "orders:read"),
			want: invalidToken, cause: oauthz.ErrInvalidToken,
		},
		{name: "refresh token", token: p.refreshToken(t), want: invalidToken, cause: oauthz.ErrInvalidToken},
		// 400 unsupported_token_type, which is a verdict on the token, not a mistake of ours.
		{name: "JWT", token: p.mustMint(t, "RS256", orders, "orders:read"), want: invalidToken, cause: oauthz.ErrInvalidToken},
		{name: "unknown", token: "no-token-of-this-server", want: invalidToken, cause: oauthz.ErrInactive},
		{name: "no token", want: refusal{status: http.StatusUnauthorized, scope: "orders:read"}, cause: oauthz.ErrNoToken},
	}
}

func TestOIDCProviderIntrospection(t *testing.T) {
	t.Parallel()
	p := startProvider(t, reportsAPI)
	a := newIntrospectingAPI(t, asReportsAPI(p))

	token := p.mustMint(t, "RS256", reports, "orders:read")
	assertServed(t, a.api, p, "RS256", token)
	a.assertSource(t, oauthz.SourceFresh)
	assertServed(t, a.api, p, "RS256", token)
	a.assertSource(t, oauthz.SourceRemembered)
	assert.EqualValues(t, 1, a.cache.Stats().Calls)

	for _, tt := range refusedTokens(t, p) {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time from the cache
				a.assertRefused(t, tt.want, tt.token)
				a.assertCause(t, tt.cause)
				if tt.cause != oauthz.ErrInactive {
					a.assertNotCause(t, oauthz.ErrInactive)
				}
			}
		})
	}
}

func TestOIDCProviderRevocation(t *testing.T) {
	t.Parallel()
	p := startProvider(t, reportsAPI)
	a := newIntrospectingAPI(t, asReportsAPI(p))

	t.Run("refused after the TTL", func(t *testing.T) {
		token := p.mustMint(t, "RS256", reports, "orders:read")
		assertServed(t, a.api, p, "RS256", token)
		p.revoke(t, "RS256", token)
		assertServed(t, a.api, p, "RS256", token)
		a.assertSource(t, oauthz.SourceRemembered)
		a.pass(cacheTTL)
		a.assertRefused(t, invalidToken, token)
		a.assertCause(t, oauthz.ErrInactive)
	})
	t.Run("refused once forgotten", func(t *testing.T) {
		token := p.mustMint(t, "RS256", reports, "orders:read")
		assertServed(t, a.api, p, "RS256", token)
		p.revoke(t, "RS256", token)
		a.cache.Forget(token)
		a.assertRefused(t, invalidToken, token)
		a.assertCause(t, oauthz.ErrInactive)
	})
}

func TestOIDCProviderIntrospectionOutage(t *testing.T) {
	t.Parallel()
	p := startProvider(t, reportsAPI)
	a := newIntrospectingAPI(t, asReportsAPI(p))
	seenBefore := p.mustMint(t, "RS256", reports, "orders:read")
	unseen := p.mustMint(t, "RS256", reports, "orders:read")
	assertServed(t, a.api, p, "RS256", seenBefore)

	p.stop(t)
	assertServed(t, a.api, p, "RS256", seenBefore)
	a.assertSource(t, oauthz.SourceRemembered)
	a.pass(cacheTTL)
	for range 3 {
		assertServed(t, a.api, p, "RS256", seenBefore)
		a.assertSource(t, oauthz.SourceStale)
		assertUnavailable(t, a.mustGet(t, unseen))
	}
	cold := newIntrospectingAPI(t, asReportsAPI(p)) // an instance that has not discovered the endpoint
	assertUnavailable(t, cold.mustGet(t, seenBefore))

	p.start(t) // the provider keeps its tokens in memory, so they are lost
	fresh := p.mustMint(t, "RS256", reports, "orders:read")
	assertRecovers(t, a.api, fresh)
	assertRecovers(t, cold.api, fresh)
	a.assertRefused(t, invalidToken, seenBefore)

	p.stop(t)
	a.pass(cacheTTL + staleIfError)
	assertUnavailable(t, a.mustGet(t, fresh))
	require.EqualValues(t, 3, a.cache.Stats().Stale)
}
