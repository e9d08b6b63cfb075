package localjwt_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

// A fault names the issuer and the configured source of the keys, on one line. The
// query of JWKSURL may hold a secret, so it is left out.
func TestFaultsNameTheIssuerAndTheSource(t *testing.T) {
	const notDiscovered = "keys discovered from Issuer: https://issuer.example/.well-known/oauth-authorization-server: status 500; " +
		"https://issuer.example/.well-known/openid-configuration: status 500"
	for jwksURL, want := range map[string]string{
		"":                                     notDiscovered,
		"https://keys.example/jwks?key=c4n4ry": "JWKSURL https://keys.example/jwks: key set: status 500",
	} {
		t.Run(want, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(func(*http.Request) *http.Response {
					<-time.After(time.Millisecond) // so that the request waits for this fetch
					return reply(500, "c4n4ry")
				})
				in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Issuer, cfg.JWKSURL = "https://issuer.example", jwksURL })
				_, err := in.Introspect(t.Context(), as.Mint(map[string]any{"iss": "https://issuer.example"}))
				require.ErrorIs(t, err, oauthz.ErrUnavailable)
				var fault *oauthz.Error
				require.ErrorAs(t, err, &fault)
				assert.EqualError(t, fault.Err, `oauthz: unavailable: issuer "https://issuer.example": keys unavailable: `+want)
				assert.EqualError(t, in.Ready(), `oauthz: unavailable: issuer "https://issuer.example": no keys yet`)
			})
		})
	}
}

func TestByIssuerNamesTheIssuersThatAreNotReady(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(fixed(500, ""))
		named := func(name string) *localjwt.Introspector {
			return as.introspector(t, func(cfg *localjwt.Config) { cfg.Issuer = "https://" + name + ".example" })
		}
		all, err := localjwt.ByIssuer(named("b"), named("a"))
		require.NoError(t, err)
		err = ready(all)
		require.ErrorIs(t, err, oauthz.ErrUnavailable)
		assert.EqualError(t, err, `oauthz: unavailable: issuer "https://b.example": no keys yet; issuer "https://a.example": no keys yet`)
	})
}
