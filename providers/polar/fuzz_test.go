package polar_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
	"github.com/oauthz/oauthz/providers/polar"
)

// FuzzIntrospectSends checks that exactly the tokens that Polar can have issued are sent.
func FuzzIntrospectSends(f *testing.F) {
	f.Add("polar_at_u_", random, "07aUzK")
	f.Add("polar_at_o_", "0000000000000000000000000000000000284", "006StP")
	f.Add("polar_rt_u_", random, "07aUzK")
	f.Add("", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "")
	f.Add("polar_at_u_", "é"+random[2:], "000000")
	sent := 0
	client, err := polar.New(polar.Config{ClientID: clientID, ClientSecret: clientSecret, HTTPClient: &http.Client{
		Transport: vendortest.RoundTrip(func(*http.Request) (*http.Response, error) {
			sent++
			return &http.Response{StatusCode: 200, Header: jsonHeader(), Body: http.NoBody}, nil
		}),
	}})
	require.NoError(f, err)
	isAlphanumeric := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
	}
	f.Fuzz(func(t *testing.T, prefix, random, sum string) {
		check := func(token string, want bool) {
			before := sent
			_, err := client.Introspect(context.Background(), token)
			if (sent > before) != want || err == nil {
				t.Errorf("sent: %v, want %v (%v)", sent > before, want, err)
			}
			if unjudged := errors.Is(err, oauthz.ErrUnrecognized); unjudged == strings.HasPrefix(token, "polar_") {
				t.Errorf("unrecognized: %v", unjudged) // a secret of Polar is refused here, and not passed on
			}
		}
		good := (prefix == "polar_at_u_" || prefix == "polar_at_o_") && len(random) == 37 && isAlphanumeric(random)
		check(mint(prefix, random), good)
		check(prefix+random+sum, good && prefix+random+sum == mint(prefix, random))
	})
}
