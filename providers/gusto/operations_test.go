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
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

func TestMissingCredentialsAreNotSent(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
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
		vendortest.AssertSilent(t, err)
	}
	for _, id := range []string{"", ".", ".."} {
		require.Error(t, rich.DisconnectAppIntegration(t.Context(), token, id))
	}
	assert.Empty(t, v.Requests())

	_, err := poor.IntrospectRaw(t.Context(), token) // does not need them
	require.NoError(t, err)
}

func TestIntrospectRaw(t *testing.T) {
	t.Parallel()
	a := vendortest.JSON(200, whole)
	a = a.With("X-RateLimit-Limit", "200").With("X-RateLimit-Remaining", "198").With("X-RateLimit-Reset", "2025-07-08 15:35:40 -0700")
	got, err := client(t, vendortest.Serve(t, a)).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, time.Date(2025, 7, 8, 22, 35, 40, 0, time.UTC).Equal(got.RateLimit.Reset))
	got.RateLimit.Reset = time.Time{}
	assert.Equal(t, &gusto.TokenInfo{
		Scopes:        oauthz.Scopes{"companies:read", "public"},
		Resource:      &gusto.Entity{Type: "Company", UUID: "c1"},
		ResourceOwner: &gusto.Entity{Type: "CompanyAdmin", UUID: "a1"},
		RateLimit:     gusto.RateLimit{Limit: 200, Remaining: 198},
	}, got)

	got, err = client(t, vendortest.Serve(t, vendortest.JSON(200, `{"scope":"","resource":null,"resource_owner":null}`))).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, &gusto.TokenInfo{}, got)
	assert.Empty(t, got.Resource.String())
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		vendortest.Answer
		ok bool
	}{
		{"empty object", vendortest.JSON(200, `{}`), true},
		{"nothing", vendortest.Empty(200), true},
		{"page", vendortest.Page(200, "\n<html>sign in</html>"), false},
		{"202", vendortest.Empty(202), false},
		{"400", vendortest.Empty(400), false},
		{"401", vendortest.Empty(401), false},
		{"403", vendortest.Empty(403), false},
		{"404", vendortest.Empty(404), false},
		{"500", vendortest.Empty(500), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := vendortest.Serve(t, tt.Answer)
			err := client(t, v).Revoke(t.Context(), token)
			require.Len(t, v.Requests(), 1)
			assert.JSONEq(t, fmt.Sprintf(`{"client_id":"app","client_secret":%q,"token":%q}`, secret, token), v.Requests()[0].Body)
			if tt.ok {
				require.NoError(t, err)
				return
			}
			operationError(t, err, "revoke", tt.Status)
			assert.False(t, errors.Is(err, oauthz.ErrInvalidToken), "the answer is about our credentials")
		})
	}
	err := client(t, vendortest.Serve(t, vendortest.Empty(403))).Revoke(t.Context(), token)
	assert.EqualError(t, err, "gusto: revoke: status 403")
}

type refreshAnswer struct {
	name string
	vendortest.Answer
	want *gusto.Authentication // nil: an error
}

// refreshAnswers are answers of Gusto to Refresh; those without want are malformed.
func refreshAnswers() []refreshAnswer {
	at := time.Unix(1767644464, 0).UTC()
	pair := gusto.Authentication{AccessToken: "new", RefreshToken: "next", TokenType: "Bearer", Scopes: oauthz.Scopes{"a", "b"}, CreatedAt: at, ExpiresIn: 2 * time.Hour}
	undated := pair
	undated.CreatedAt = time.Time{}
	const start = `{"access_token":"new","refresh_token":"next","token_type":"bearer","scope":"a b","expires_in":7200`
	return []refreshAnswer{
		{"number", vendortest.JSON(200, start+`,"created_at":1767644464}`), &pair},
		{"number in a string", vendortest.JSON(200, start+`,"created_at":"1767644464"}`), &pair},
		{"date", vendortest.JSON(200, start+`,"created_at":"2026-01-05T20:21:04Z"}`), &pair},
		{"a string that is not a time", vendortest.JSON(200, start+`,"created_at":"today"}`), &undated},
		{"a number in a string that is not a time", vendortest.JSON(200, start+`,"created_at":"9999999999999999"}`), &undated},
		{"null", vendortest.JSON(200, start+`,"created_at":null}`), &undated},
		{"least", vendortest.JSON(200, `{"access_token":"new"}`), &gusto.Authentication{AccessToken: "new"}},
		{"nulls", vendortest.JSON(200, `{"access_token":"new","refresh_token":null,"scope":null,"expires_in":null,"token_type":null}`), &gusto.Authentication{AccessToken: "new"}},

		{"created_at false", vendortest.JSON(200, start+`,"created_at":false}`), nil},
		{"created_at out of range", vendortest.JSON(200, start+`,"created_at":1e19}`), nil},
		{"empty object", vendortest.JSON(200, `{}`), nil},
		{"error with 200", vendortest.JSON(200, `{"error":"invalid_grant"}`), nil},
		{"page", vendortest.Page(200, "<html>"), nil},
		{"page with the content type JSON", vendortest.JSON(200, "<html>"), nil},
		{"access token empty", vendortest.JSON(200, `{"access_token":""}`), nil},
		{"access token null", vendortest.JSON(200, `{"access_token":null}`), nil},
		{"access token number", vendortest.JSON(200, `{"access_token":1}`), nil},
		{"access token with a newline", vendortest.JSON(200, `{"access_token":"a\nb"}`), nil},
		{"refresh token number", vendortest.JSON(200, `{"access_token":"new","refresh_token":1}`), nil},
		{"scope array", vendortest.JSON(200, `{"access_token":"new","scope":["a"]}`), nil},
		{"type unknown", vendortest.JSON(200, `{"access_token":"new","token_type":"mac"}`), nil},
		{"expires_in string", vendortest.JSON(200, `{"access_token":"new","expires_in":"7200"}`), nil},
		{"expires_in negative", vendortest.JSON(200, `{"access_token":"new","expires_in":-1}`), nil},
		{"expires_in huge", vendortest.JSON(200, `{"access_token":"new","expires_in":1e30}`), nil},
		{"repeated member", vendortest.JSON(200, `{"access_token":"new","access_token":"old"}`), nil},
		{"400", vendortest.JSON(400, `{"error":"invalid_grant"}`), nil},
		{"401", vendortest.JSON(401, `{"error":"invalid_client"}`), nil},
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, tt := range refreshAnswers() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := vendortest.Serve(t, tt.Answer)
			got, err := client(t, v).Refresh(t.Context(), refresh)
			require.Len(t, v.Requests(), 1)
			assert.JSONEq(t, fmt.Sprintf(`{"client_id":"app","client_secret":%q,"grant_type":"refresh_token","refresh_token":%q}`, secret, refresh),
				v.Requests()[0].Body)
			assert.Equal(t, tt.want, got)
			if tt.want == nil {
				operationError(t, err, "refresh_access_token", tt.Status)
				vendortest.AssertSilent(t, err)
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
		v := vendortest.Serve(t, vendortest.Empty(204))
		require.NoError(t, client(t, v).DisconnectAppIntegration(t.Context(), token, tt.id))
		sent := v.Requests()
		require.Len(t, sent, 1)
		assert.Equal(t, "POST", sent[0].Method)
		assert.Equal(t, tt.uri, sent[0].URI)
		assert.Equal(t, "Bearer "+token, sent[0].Header.Get("Authorization"))
		assert.Empty(t, sent[0].Body)
	}
	for _, a := range []vendortest.Answer{
		vendortest.JSON(200, `{}`), vendortest.Page(200, "<html>"), vendortest.Empty(202), vendortest.Empty(401), vendortest.Empty(403), vendortest.Empty(404),
	} {
		err := client(t, vendortest.Serve(t, a)).DisconnectAppIntegration(t.Context(), token, "company")
		operationError(t, err, "disconnect_app_integration", a.Status)
	}
}
