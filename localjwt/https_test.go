package localjwt_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// Metadata that came over https is authenticated. An http URL in it, even one
// of loopback, would fetch the keys from a process that is not authenticated.
func TestMetadataOverHTTPSNamesOnlyHTTPS(t *testing.T) {
	const secure, loopback = "https://issuer.example", "http://127.0.0.1:8089"
	tests := []struct {
		name, issuer, jwks string
		want               int
		keyFetches         int64
	}{
		{"https names https", secure, "https://keys.example/jwks", 204, 1},
		{"https names http on loopback", secure, "http://127.0.0.1:8089/jwks", 503, 0},
		{"https names http on ::1", secure, "http://[::1]:8089/jwks", 503, 0},
		{"https names http on localhost", secure, "http://localhost/jwks", 503, 0},
		{"https names HTTP in upper case", secure, "HTTP://localhost/jwks", 503, 0},
		{"HTTPS in upper case names http", "HTTPS://issuer.example", "http://localhost/jwks", 503, 0},
		{"loopback names loopback", loopback, "http://127.0.0.1:8090/jwks", 204, 1},
		{"loopback names https", loopback, "https://keys.example/jwks", 204, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				var keyFetches int64
				as.answer(func(r *http.Request) *http.Response {
					if strings.HasPrefix(r.URL.Path, "/.well-known/") {
						return reply(200, `{"issuer":"`+tt.issuer+`","jwks_uri":"`+tt.jwks+`"}`)
					}
					keyFetches++
					return reply(200, string(as.JWKS()))
				})
				in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Issuer, cfg.JWKSURL = tt.issuer, "" })
				assert.Equal(t, tt.want, ask(t, in, as.Mint(oauthztest.Claims{"iss": tt.issuer})).status)
				assert.Equal(t, tt.keyFetches, keyFetches)
			})
		})
	}
}
