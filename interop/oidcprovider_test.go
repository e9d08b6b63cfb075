package interop_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
)

type refusalTest struct {
	name, token string
	want        refusal
}

// refusalTests returns tokens that an API with the audience orders refuses, and its answers. It tampers with token.
func refusalTests(t *testing.T, p *provider, algorithm, token string) []refusalTest {
	t.Helper()
	return []refusalTest{
		{
			name:  "missing scope",
			token: p.mustMint(t, algorithm, orders, "orders:write"),
			want:  refusal{status: http.StatusForbidden, error: "insufficient_scope", scope: "orders:read"},
		},
		{
			name:  "no scope at all",
			token: p.mustMint(t, algorithm, orders, ""),
			want:  refusal{status: http.StatusForbidden, error: "insufficient_scope", scope: "orders:read"},
		},
		{
			name:  "other audience",
			token: p.mustMint(t, algorithm, billing, "orders:read"),
			want:  refusal{status: http.StatusUnauthorized, error: "invalid_token"},
		},
		{
			name:  "tampered signature",
			token: tamper(token),
			want:  refusal{status: http.StatusUnauthorized, error: "invalid_token"},
		},
		{
			name: "no token",
			want: refusal{status: http.StatusUnauthorized, scope: "orders:read"},
		},
	}
}

func TestOIDCProviderAlgorithms(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	// A tampered token that is younger than the keys looks like a token of a server that has reused a kid: it causes a fetch,
	// and within the interval after that it gets 503. Here each token must get its own fetch.
	a := newAPI(t, p, localjwt.Config{Audience: []string{orders}, UnknownKeyInterval: time.Nanosecond})

	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			token := p.mustMint(t, algorithm, orders, "orders:read")
			header, err := headerOf(token)
			require.NoError(t, err)
			require.Equal(t, algorithm, header.Alg)
			require.Equal(t, "at+jwt", header.Typ)

			assertServed(t, a, p, algorithm, token)
			for _, tt := range refusalTests(t, p, algorithm, token) {
				t.Run(tt.name, func(t *testing.T) { a.assertRefused(t, tt.want, tt.token) })
			}
		})
	}
}

// assertServed checks that a request with a token of the scope orders:read reaches the handler, and the fields of its token.
func assertServed(t *testing.T, a *api, p *provider, algorithm, token string) {
	t.Helper()
	want := seen{Issuer: p.issuer, ClientID: clientID(algorithm), Audience: a.audience, Scopes: []string{"orders:read"}}
	assertSeen(t, want, a.mustGet(t, token))
}

// assertSeen checks that a response is that of the handler, and the fields of its token.
func assertSeen(t *testing.T, want seen, r reply) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, r.body)
	assert.Empty(t, r.header.Values("WWW-Authenticate"))
	var got seen
	require.NoError(t, json.Unmarshal([]byte(r.body), &got))
	assert.Equal(t, want, got)
}

func TestOIDCProviderTwoAudiences(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	apis := map[string]*api{
		orders:  newAPI(t, p, localjwt.Config{Audience: []string{orders}}),
		billing: newAPI(t, p, localjwt.Config{Audience: []string{billing}}),
	}

	for _, tt := range []struct{ name, own, other string }{
		{name: "orders", own: orders, other: billing},
		{name: "billing", own: billing, other: orders},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := p.mustMint(t, "ES256", tt.own, "orders:read")
			assertServed(t, apis[tt.own], p, "ES256", token)
			apis[tt.other].assertRefused(t, refusal{status: http.StatusUnauthorized, error: "invalid_token"}, token)
		})
	}
}
