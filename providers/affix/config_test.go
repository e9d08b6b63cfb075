package affix_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/providers/affix"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  affix.Config
		want []string // nil: none
	}{
		{"least", affix.Config{ClientIDs: []string{ours}}, nil},
		{"any client", affix.Config{InsecureAnyClient: true}, nil},
		{"zero", affix.Config{}, []string{"ClientIDs is required"}},
		{"empty list", affix.Config{ClientIDs: []string{}}, []string{"ClientIDs is required"}},
		{
			"everything wrong", affix.Config{BaseURL: "http://api.affixapi.com", ClientIDs: []string{"a", ""}, InsecureAnyClient: true},
			[]string{"BaseURL: ", "ClientIDs and InsecureAnyClient exclude", "ClientIDs holds an empty string"},
		},
		{"credentials in the URL", affix.Config{InsecureAnyClient: true, BaseURL: "https://u:canary@api.affixapi.com"}, []string{"BaseURL: "}},
		{"query", affix.Config{InsecureAnyClient: true, BaseURL: "https://api.affixapi.com/?canary"}, []string{"BaseURL: holds a query"}},
		{"empty query", affix.Config{InsecureAnyClient: true, BaseURL: "https://api.affixapi.com?"}, []string{"BaseURL: holds a query"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := affix.New(tt.cfg)
			assert.Equal(t, tt.want == nil, c != nil)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			vendortest.WantMistakes(t, err, "affix", tt.want...)
		})
	}
	assert.Equal(t, "https://api.affixapi.com", affix.Production)
}
