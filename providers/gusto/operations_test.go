package gusto_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/gusto"
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
			require.Error(t, err)
			var joined interface{ Unwrap() []error }
			require.ErrorAs(t, err, &joined)
			require.Len(t, joined.Unwrap(), len(tt.want))
			for i, want := range tt.want {
				assert.Contains(t, joined.Unwrap()[i].Error(), "gusto: config: "+want)
			}
			assertSilent(t, err)
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	_, err := client(t, v).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, "2026-06-15", v.questions()[0].header.Get("X-Gusto-API-Version"))
	assert.Equal(t, "https://api.gusto.com", gusto.Production)
}

func TestNoCredentialNoDial(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	poor := client(t, v, func(cfg *gusto.Config) { cfg.ClientID, cfg.ClientSecret = "", "" })
	rich := client(t, v)
	_, refreshErr := poor.Refresh(t.Context(), refresh)
	_, emptyRefreshErr := rich.Refresh(t.Context(), "")
	_, infoErr := rich.IntrospectRaw(t.Context(), "")
	for _, err := range []error{
		poor.Revoke(t.Context(), token), refreshErr, emptyRefreshErr, infoErr, rich.Revoke(t.Context(), ""),
		rich.DisconnectAppIntegration(t.Context(), "", "company"),
	} {
		require.ErrorIs(t, err, providers.ErrNoCredential)
		var e *providers.OperationError
		require.ErrorAs(t, err, &e)
		assert.Zero(t, e.Status)
		assertSilent(t, err)
	}
	for _, id := range []string{"", ".", ".."} {
		require.Error(t, rich.DisconnectAppIntegration(t.Context(), token, id))
	}
	assert.Empty(t, v.questions())

	_, err := poor.IntrospectRaw(t.Context(), token) // needs neither
	require.NoError(t, err)
}

func TestIntrospectRaw(t *testing.T) {
	t.Parallel()
	a := jsonAnswer(whole)
	a.header = map[string]string{
		"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "198", "X-RateLimit-Reset": "2025-07-08 15:35:40 -0700",
	}
	got, err := client(t, serve(t, a)).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, time.Date(2025, 7, 8, 22, 35, 40, 0, time.UTC).Equal(got.RateLimit.Reset))
	got.RateLimit.Reset = time.Time{}
	assert.Equal(t, &gusto.TokenInfo{
		Scopes:        oauthz.Scopes{"companies:read", "public"},
		Resource:      &gusto.Entity{Type: "Company", UUID: "c1"},
		ResourceOwner: &gusto.Entity{Type: "CompanyAdmin", UUID: "a1"},
		RateLimit:     gusto.RateLimit{Limit: 200, Remaining: 198},
	}, got)

	got, err = client(t, serve(t, jsonAnswer(`{"scope":"","resource":null,"resource_owner":null}`))).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, &gusto.TokenInfo{}, got)
	assert.Empty(t, got.Resource.String())
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		answer
		ok bool
	}{
		{"empty object", jsonAnswer(`{}`), true},
		{"nothing", answer{status: 200}, true},
		{"page", answer{200, "text/html", nil, "\n<html>sign in</html>"}, false},
		{"202", answer{status: 202}, false},
		{"400", answer{status: 400}, false},
		{"401", answer{status: 401}, false},
		{"403", answer{status: 403}, false},
		{"404", answer{status: 404}, false},
		{"500", answer{status: 500}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := serve(t, tt.answer)
			err := client(t, v).Revoke(t.Context(), token)
			require.Len(t, v.questions(), 1)
			assert.JSONEq(t, fmt.Sprintf(`{"client_id":"app","client_secret":%q,"token":%q}`, secret, token), v.questions()[0].body)
			if tt.ok {
				require.NoError(t, err)
				return
			}
			operationError(t, err, "revoke", tt.status)
			assert.False(t, errors.Is(err, oauthz.ErrInvalidToken), "it is about us")
		})
	}
	err := client(t, serve(t, answer{status: 403})).Revoke(t.Context(), token)
	assert.EqualError(t, err, "gusto: revoke: status 403")
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	at := time.Unix(1767644464, 0).UTC()
	pair := gusto.Authentication{AccessToken: "new", RefreshToken: "next", TokenType: "Bearer", Scopes: oauthz.Scopes{"a", "b"}, CreatedAt: at, ExpiresIn: 2 * time.Hour}
	undated := pair
	undated.CreatedAt = time.Time{}
	const start = `{"access_token":"new","refresh_token":"next","token_type":"bearer","scope":"a b","expires_in":7200`
	for _, tt := range []struct {
		name string
		answer
		want *gusto.Authentication // nil: an error
	}{
		{"number", jsonAnswer(start + `,"created_at":1767644464}`), &pair},
		{"number in a string", jsonAnswer(start + `,"created_at":"1767644464"}`), &pair},
		{"date", jsonAnswer(start + `,"created_at":"2026-01-05T20:21:04Z"}`), &pair},
		{"a string that is no time", jsonAnswer(start + `,"created_at":"today"}`), &undated},
		{"a number in a string that is no time", jsonAnswer(start + `,"created_at":"9999999999999999"}`), &undated},
		{"null", jsonAnswer(start + `,"created_at":null}`), &undated},
		{"least", jsonAnswer(`{"access_token":"new"}`), &gusto.Authentication{AccessToken: "new"}},
		{"nulls", jsonAnswer(`{"access_token":"new","refresh_token":null,"scope":null,"expires_in":null,"token_type":null}`), &gusto.Authentication{AccessToken: "new"}},

		{"created_at false", jsonAnswer(start + `,"created_at":false}`), nil},
		{"created_at of no year", jsonAnswer(start + `,"created_at":1e19}`), nil},
		{"empty object", jsonAnswer(`{}`), nil},
		{"error with 200", jsonAnswer(`{"error":"invalid_grant"}`), nil},
		{"page", answer{200, "text/html", nil, "<html>"}, nil},
		{"page said to be JSON", jsonAnswer("<html>"), nil},
		{"access token empty", jsonAnswer(`{"access_token":""}`), nil},
		{"access token null", jsonAnswer(`{"access_token":null}`), nil},
		{"access token number", jsonAnswer(`{"access_token":1}`), nil},
		{"access token with a newline", jsonAnswer(`{"access_token":"a\nb"}`), nil},
		{"refresh token number", jsonAnswer(`{"access_token":"new","refresh_token":1}`), nil},
		{"scope array", jsonAnswer(`{"access_token":"new","scope":["a"]}`), nil},
		{"type unknown", jsonAnswer(`{"access_token":"new","token_type":"mac"}`), nil},
		{"expires_in string", jsonAnswer(`{"access_token":"new","expires_in":"7200"}`), nil},
		{"expires_in negative", jsonAnswer(`{"access_token":"new","expires_in":-1}`), nil},
		{"expires_in huge", jsonAnswer(`{"access_token":"new","expires_in":1e30}`), nil},
		{"repeated member", jsonAnswer(`{"access_token":"new","access_token":"old"}`), nil},
		{"400", answer{400, "application/json", nil, `{"error":"invalid_grant"}`}, nil},
		{"401", answer{401, "application/json", nil, `{"error":"invalid_client"}`}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := serve(t, tt.answer)
			got, err := client(t, v).Refresh(t.Context(), refresh)
			require.Len(t, v.questions(), 1)
			assert.JSONEq(t, fmt.Sprintf(`{"client_id":"app","client_secret":%q,"grant_type":"refresh_token","refresh_token":%q}`, secret, refresh),
				v.questions()[0].body)
			assert.Equal(t, tt.want, got)
			if tt.want == nil {
				operationError(t, err, "refresh_access_token", tt.status)
				assertSilent(t, err)
				return
			}
			require.NoError(t, err)
			assert.NotContains(t, fmt.Sprintf("%v %+v", got, *got), "new", "tokens are not printed")
		})
	}
}

func TestDisconnectAppIntegration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ id, uri string }{
		{"7b1d0df1-6403", "/v1/companies/7b1d0df1-6403/disconnect_app_integration"},
		{"a/../b", "/v1/companies/a%2F..%2Fb/disconnect_app_integration"},
		{"x?y#z", "/v1/companies/x%3Fy%23z/disconnect_app_integration"},
		{"a b%2F", "/v1/companies/a%20b%252F/disconnect_app_integration"},
	} {
		v := serve(t, answer{status: 204})
		require.NoError(t, client(t, v).DisconnectAppIntegration(t.Context(), token, tt.id))
		asked := v.questions()
		require.Len(t, asked, 1)
		assert.Equal(t, "POST", asked[0].method)
		assert.Equal(t, tt.uri, asked[0].uri)
		assert.Equal(t, "Bearer "+token, asked[0].header.Get("Authorization"))
		assert.Empty(t, asked[0].body)
	}
	for _, a := range []answer{jsonAnswer(`{}`), {200, "text/html", nil, "<html>"}, {status: 202}, {status: 401}, {status: 403}, {status: 404}} {
		err := client(t, serve(t, a)).DisconnectAppIntegration(t.Context(), token, "company")
		operationError(t, err, "disconnect_app_integration", a.status)
	}
}
