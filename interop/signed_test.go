package interop_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// signedAPI returns the metadata of an API whose introspection responses are signed with an algorithm.
func signedAPI(algorithm string) clientMetadata {
	return introspecting("reports-"+algorithm, "client_secret_basic", clientMetadata{
		"client_secret": specialSecret, "introspection_signed_response_alg": algorithm,
	})
}

// asSignedAPI returns a configuration that introspects tokens for reports at p, and accepts only signed responses (RFC 9701).
func asSignedAPI(p *provider, algorithm string) remote.Config {
	cfg := asReportsAPI(p)
	cfg.Auth = remote.Basic("reports-"+algorithm, specialSecret)
	cfg.Signed = &remote.Signed{Audience: "reports-" + algorithm}
	return cfg
}

func TestOIDCProviderSignedIntrospection(t *testing.T) {
	t.Parallel()
	var clients []clientMetadata
	for _, algorithm := range algorithms {
		clients = append(clients, signedAPI(algorithm))
	}
	p := startProvider(t, clients...)

	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			cfg := asSignedAPI(p, algorithm)
			wire := &recorder{}
			cfg.HTTPClient = &http.Client{Transport: wire}
			a := newIntrospectingAPI(t, cfg)

			assertServed(t, a.api, p, "RS256", p.mustMint(t, "RS256", reports, "orders:read"))
			a.assertSource(t, oauthz.SourceFresh)
			assert.Equal(t, "application/token-introspection+jwt; charset=utf-8", wire.lastType)

			a.assertRefused(t, refusal{status: http.StatusForbidden, error: "insufficient_scope", scope: "orders:read"},
				p.mustMint(t, "RS256", reports, "orders:write"))
			a.assertRefused(t, invalidToken, p.mustMint(t, "RS256", archive, "orders:read"))
			a.assertNotCause(t, oauthz.ErrInactive)
			assertUnavailable(t, a.mustGet(t, p.mustMint(t, "RS256", orders, "orders:read"))) // a JWT: 400, which is not signed
			a.assertRefused(t, invalidToken, "no-token-of-this-server")
			a.assertCause(t, oauthz.ErrInactive) // which was signed
			assert.Equal(t, "application/token-introspection+jwt; charset=utf-8", wire.lastType)
		})
	}
}

// unusableResponses are changes of a configuration after which an API cannot use the responses of the server.
var unusableResponses = []struct {
	name  string
	alter func(*remote.Config)
}{
	{
		name: "plain JSON is a downgrade",
		alter: func(cfg *remote.Config) {
			cfg.HTTPClient = &http.Client{Transport: &recorder{accept: "application/json"}}
		},
	},
	{
		name:  "wrong credentials are told in plain JSON",
		alter: func(cfg *remote.Config) { cfg.Auth = remote.Basic("reports-ES256", "guess") },
	},
	{
		name:  "an answer for somebody else",
		alter: func(cfg *remote.Config) { cfg.Signed.Audience = "somebody-else" },
	},
	{
		name:  "keys of nobody",
		alter: func(cfg *remote.Config) { cfg.Signed.JWKSURL = cfg.Issuer + "/no-keys-here" },
	},
}

func TestOIDCProviderSignedIntrospectionRefused(t *testing.T) {
	t.Parallel()
	p := startProvider(t, signedAPI("ES256"))

	for _, tt := range unusableResponses {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := asSignedAPI(p, "ES256")
			tt.alter(&cfg)
			a := newIntrospectingAPI(t, cfg)
			assertUnavailable(t, a.mustGet(t, p.mustMint(t, "RS256", reports, "orders:read")))
			assert.Zero(t, a.served.Load())
		})
	}
}

// After a rotation responses are signed with a key that the API does not have. The API fetches it, also right after its last
// fetch, when it may not fetch again yet, and refuses no valid token meanwhile.
func TestOIDCProviderSignedIntrospectionKeyRotation(t *testing.T) {
	t.Parallel()
	p := startProvider(t, signedAPI("RS256"))
	a := newIntrospectingAPI(t, asSignedAPI(p, "RS256"))
	rotations := [][]privateJWK{newKeys(t, 2), newKeys(t, 3)} // made now, so that the rotations are quick
	assertServed(t, a.api, p, "RS256", p.mustMint(t, "RS256", reports, "orders:read"))

	for _, keys := range rotations {
		p.rotate(t, keys)
		token := p.mustMint(t, "RS256", reports, "orders:read")
		assertRecovers(t, a.api, token)
		assertServed(t, a.api, p, "RS256", token)
	}
}

// A recorder is a transport that records the Content-Type of introspection responses. It may change the Accept header.
type recorder struct {
	accept   string
	lastType string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	introspection := strings.HasSuffix(request.URL.Path, "/introspection")
	if introspection && r.accept != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Accept", r.accept)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil && introspection {
		r.lastType = response.Header.Get("Content-Type")
	}
	return response, err
}
