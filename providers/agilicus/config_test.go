package agilicus_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

func TestNewReportsEveryMistake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  agilicus.Config
		want []string
	}{
		{"zero", agilicus.Config{}, []string{"Audience is required"}},
		{
			"all at once", agilicus.Config{BaseURL: "http://api.agilicus.com", Audience: []string{""}, InsecureAnyAudience: true},
			[]string{"BaseURL: ", "Audience and InsecureAnyAudience exclude each other", "Audience holds an empty string"},
		},
		{"no URL", agilicus.Config{BaseURL: "api.agilicus.com", Audience: []string{"a"}}, []string{"BaseURL: "}},
		{"a query", agilicus.Config{BaseURL: "https://a.example?x", Audience: []string{"a"}}, []string{"BaseURL: holds a query"}},
		{"credentials", agilicus.Config{BaseURL: "https://canary:canary@a.example", Audience: []string{"a"}}, []string{"BaseURL: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, err := agilicus.New(tt.cfg)
			require.Error(t, err)
			assert.Nil(t, client)
			vendortest.WantMistakes(t, err, "agilicus", tt.want...)
		})
	}
}

var request = agilicus.CreateTokenRequest{
	Subject: "s", Org: "o", Audiences: []string{"a"}, TimeValidity: agilicus.TimeValidity{Seconds: 60},
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, base, want string }{
		{"default", "", "https://api.agilicus.com/v1/tokens"},
		{"slash", "https://a.example/", "https://a.example/v1/tokens"},
		{"path", "https://a.example/proxy", "https://a.example/proxy/v1/tokens"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			client, err := agilicus.New(config(tt.base, &http.Client{Transport: vendortest.RoundTrip(func(r *http.Request) (*http.Response, error) {
				got = append(got, r.Method+" "+r.URL.String())
				return &http.Response{StatusCode: 400, Header: jsonHeader(), Body: http.NoBody}, nil
			})}))
			require.NoError(t, err)
			for _, err := range everything(t.Context(), client) {
				require.Error(t, err)
			}
			assert.Equal(t, []string{
				"POST " + tt.want + "/introspect", "POST " + tt.want + "/introspect", "POST " + tt.want + "/reissue", "POST " + tt.want + "/revoke",
				"POST " + tt.want, "POST " + tt.want + "/validations", "GET " + tt.want,
			}, got)
		})
	}
}

// everything calls all operations, and returns their errors.
func everything(ctx context.Context, client *agilicus.Client) (errs []error) {
	_, err := client.Introspect(ctx, jwt)
	errs = append(errs, err)
	_, err = client.IntrospectRaw(ctx, jwt, nil)
	errs = append(errs, err)
	_, err = client.Reissue(ctx, jwt, "o")
	errs = append(errs, err, client.Revoke(ctx, jwt, agilicus.RevokeOptions{}))
	_, err = client.Create(ctx, request)
	errs = append(errs, err)
	_, err = client.Validate(ctx, request)
	errs = append(errs, err)
	_, err = client.List(ctx, agilicus.ListOptions{})
	return append(errs, err)
}
