package remote_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// Metadata that came over https names no http endpoint: our secret and the
// caller's token would go to a process on loopback that authenticates nobody.
func TestMetadataOverHTTPSSendsNoSecretOverHTTP(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]error{
		"https://issuer.example/i": nil,
		"http://127.0.0.1:8089/i":  oauthz.ErrUnavailable,
		"http://localhost/i":       oauthz.ErrUnavailable,
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var plain atomic.Int64
				in, err := remote.New(t.Context(), remote.Config{
					Issuer: "https://issuer.example", Auth: remote.Basic("api", "secret"), Audience: []string{audience},
					HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
						if r.URL.Scheme == "http" {
							plain.Add(1)
						}
						if strings.HasPrefix(r.URL.Path, "/.well-known/") {
							return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"`+endpoint+`"}`), nil
						}
						return reply(200, good), nil
					})},
				})
				require.NoError(t, err)
				_, err = in.Introspect(t.Context(), "opaque")
				require.ErrorIs(t, err, want)
				assert.Zero(t, plain.Load())
			})
		})
	}
}
