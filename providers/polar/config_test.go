package polar_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
	"github.com/oauthz/oauthz/providers/polar"
)

func TestNewReportsEveryMistake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  polar.Config
		want []string
	}{
		{
			name: "zero",
			want: []string{"ClientID is required", "ClientSecret is required"},
		},
		{
			name: "all at once", cfg: polar.Config{BaseURL: "http://api.polar.sh", TokenAuthMethod: "none"},
			want: []string{"BaseURL: ", "ClientID is required", "ClientSecret is required", "TokenAuthMethod: want"},
		},
		{
			name: "no URL", cfg: polar.Config{BaseURL: "api.polar.sh", ClientID: "i", ClientSecret: "s"},
			want: []string{"BaseURL: "},
		},
		{
			name: "a query", cfg: polar.Config{BaseURL: "https://api.polar.sh?x=1", ClientID: "i", ClientSecret: "s"},
			want: []string{"BaseURL: holds a query"},
		},
		{
			name: "credentials", cfg: polar.Config{BaseURL: "https://canary:canary@api.polar.sh", ClientID: "i", ClientSecret: "canary"},
			want: []string{"BaseURL: "},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, err := polar.New(tt.cfg)
			require.Error(t, err)
			assert.Nil(t, client)
			vendortest.WantMistakes(t, err, "polar", tt.want...)
		})
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, base, want string }{
		{"default", "", "https://api.polar.sh/v1/oauth2/"},
		{"sandbox", polar.Sandbox, "https://sandbox-api.polar.sh/v1/oauth2/"},
		{"slash", "https://polar.example/", "https://polar.example/v1/oauth2/"},
		{"path", "https://polar.example/proxy", "https://polar.example/proxy/v1/oauth2/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			client, err := polar.New(polar.Config{
				BaseURL: tt.base, ClientID: clientID, ClientSecret: clientSecret, HTTPClient: &http.Client{
					Transport: vendortest.RoundTrip(func(r *http.Request) (*http.Response, error) {
						got = append(got, r.URL.String())
						return &http.Response{StatusCode: 400, Header: jsonHeader(), Body: http.NoBody}, nil
					}),
				},
			})
			require.NoError(t, err)
			_, _ = client.Introspect(t.Context(), accessToken())
			_, _ = client.IntrospectRaw(t.Context(), oauthz.Secret(accessToken()))
			_, _ = client.UserInfo(t.Context(), oauthz.Secret(accessToken()))
			_, _ = client.Token(t.Context(), polar.RefreshToken{RefreshToken: oauthz.Secret(refreshToken())})
			_ = client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint)
			assert.Equal(t, []string{
				tt.want + "introspect", tt.want + "introspect", tt.want + "userinfo", tt.want + "token", tt.want + "revoke",
			}, got)
		})
	}
}
