package gusto_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/providers/gusto"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  gusto.Config
		want []string // nil: none
	}{
		{"least", gusto.Config{InsecureAnyClient: true}, nil},
		{"zero", gusto.Config{}, []string{"InsecureAnyClient must be set: Gusto does not name the application that a token was issued to"}},
		{
			"everything wrong", gusto.Config{BaseURL: "http://api.gusto.com", APIVersion: "latest", ClientID: "x", RedirectURI: "/cb"},
			[]string{"BaseURL: ", "APIVersion: ", "ClientID and ClientSecret: ", "RedirectURI: ", "InsecureAnyClient "},
		},
		{"secret alone", gusto.Config{InsecureAnyClient: true, ClientSecret: secret}, []string{"ClientID and ClientSecret: "}},
		{"credentials in the URL", gusto.Config{InsecureAnyClient: true, BaseURL: "https://u:canary@api.gusto.com"}, []string{"BaseURL: "}},
		{"query", gusto.Config{InsecureAnyClient: true, BaseURL: "https://api.gusto.com?canary=1"}, []string{"BaseURL: holds a query"}},
		{"empty query", gusto.Config{InsecureAnyClient: true, BaseURL: "https://api.gusto.com?"}, []string{"BaseURL: holds a query"}},
		{"fragment", gusto.Config{InsecureAnyClient: true, BaseURL: "https://api.gusto.com#canary"}, []string{"BaseURL: "}},
		{"slashes alone", gusto.Config{InsecureAnyClient: true, BaseURL: "//"}, []string{"BaseURL: "}},
		{"no such day", gusto.Config{InsecureAnyClient: true, APIVersion: "2026-02-30"}, []string{"APIVersion: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := gusto.New(tt.cfg)
			assert.Equal(t, tt.want == nil, c != nil)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			vendortest.WantMistakes(t, err, "gusto", tt.want...)
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	_, err := client(t, v).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, "2026-06-15", v.Requests()[0].Header.Get("X-Gusto-API-Version"))
	assert.Equal(t, "https://api.gusto.com", gusto.Production)
}
