package oauthztest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/oauthztest"
)

// introspect sends an introspection request without client authentication.
func introspect(t *testing.T, s *oauthztest.Server, token string) map[string]any {
	t.Helper()
	resp, body := post(t, s, s.IntrospectionURL(), url.Values{"token": {token}})
	require.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	return object(t, body)
}

func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var members map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &members))
	return members
}

var inactive = map[string]any{"active": false}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/tenant1", "/a/b"} {
		t.Run("issuer path "+path, func(t *testing.T) {
			t.Parallel()
			s := start(t, oauthztest.Config{Path: path})
			origin := strings.TrimSuffix(s.Issuer(), path)
			require.Equal(t, origin+path, s.Issuer())
			for _, at := range []string{
				origin + "/.well-known/oauth-authorization-server" + path,
				s.Issuer() + "/.well-known/openid-configuration",
			} {
				resp, body := get(t, s, at)
				require.Equal(t, http.StatusOK, resp.StatusCode, at)
				got := object(t, body)
				assert.Equal(t, s.Issuer(), got["issuer"])
				assert.Equal(t, s.JWKSURL(), got["jwks_uri"])
				assert.Equal(t, s.IntrospectionURL(), got["introspection_endpoint"])
				assert.Equal(t, s.RevocationURL(), got["revocation_endpoint"])
				assert.Equal(t, []any{"none"}, got["introspection_endpoint_auth_methods_supported"])
				assert.Contains(t, got["id_token_signing_alg_values_supported"], "RS256")
			}
			assert.Equal(t, 2, s.Count(oauthztest.EndpointDiscovery))
		})
	}
}

func TestMetadataIsNotAtThePathOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{Path: "/tenant1"})
	for _, at := range []string{"/.well-known/oauth-authorization-server", "/tenant1/.well-known/oauth-authorization-server", "/.well-known/openid-configuration/tenant1"} {
		resp, _ := get(t, s, strings.TrimSuffix(s.Issuer(), "/tenant1")+at)
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, at)
	}
	assert.Zero(t, s.Count(oauthztest.EndpointDiscovery))
}

func TestMetadataNamesTheWaysToAuthenticate(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{ClientID: "api", ClientSecret: "secret"})
	_, body := get(t, s, s.Issuer()+"/.well-known/openid-configuration")
	for _, member := range []string{"introspection_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported"} {
		assert.Equal(t, []any{"client_secret_basic", "client_secret_post"}, object(t, body)[member])
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	tests := []struct {
		method, url string
		wantStatus  int
		wantAllow   string
	}{
		{method: http.MethodHead, url: s.JWKSURL(), wantStatus: http.StatusOK},
		{method: http.MethodPost, url: s.JWKSURL(), wantStatus: http.StatusMethodNotAllowed, wantAllow: http.MethodGet},
		{method: http.MethodGet, url: s.IntrospectionURL() + "?token=x", wantStatus: http.StatusMethodNotAllowed, wantAllow: http.MethodPost},
		{method: http.MethodHead, url: s.RevocationURL(), wantStatus: http.StatusMethodNotAllowed, wantAllow: http.MethodPost},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+strings.TrimPrefix(tt.url, s.Issuer()), func(t *testing.T) {
			t.Parallel()
			resp, _ := do(t, s, request(t, tt.method, tt.url, nil))
			assert.Equal(t, tt.wantStatus, resp.StatusCode)
			assert.Equal(t, tt.wantAllow, resp.Header.Get("Allow"))
		})
	}
}

// inactiveClaims are claims of tokens that introspection calls inactive.
var inactiveClaims = map[string]oauthztest.Claims{
	"refresh token by use":  {"token_use": "refresh"},
	"refresh token by type": {"token_type": "refresh_token"},
	"expired":               {"exp": time.Now().Add(-time.Second)},
	"expires now":           {"exp": 1},
	"not valid yet":         {"nbf": time.Now().Add(time.Hour)},
}

// activeClaims are claims of tokens that introspection calls active.
var activeClaims = map[string]oauthztest.Claims{
	"no expiry":                        {"exp": oauthztest.Absent},
	"expiry that is no number":         {"exp": "soon"},
	"expiry that is null":              {"exp": nil},
	"refresh token, but called active": {"token_use": "refresh", "active": true},
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	minters := map[string]func(oauthztest.Claims) string{
		"JWT":    func(c oauthztest.Claims) string { return s.Mint(c) },
		"opaque": s.MintOpaque,
	}
	for kind, mint := range minters {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			got := introspect(t, s, mint(oauthztest.Claims{"scope": "read write", "sub": oauthztest.Absent}))
			assert.Equal(t, true, got["active"])
			assert.Equal(t, "Bearer", got["token_type"])
			assert.Equal(t, s.Issuer(), got["iss"])
			assert.Equal(t, "https://api.example", got["aud"])
			assert.Equal(t, "client-1", got["client_id"])
			assert.Equal(t, "read write", got["scope"])
			assert.NotContains(t, got, "sub")

			for name, claims := range inactiveClaims {
				assert.Equal(t, inactive, introspect(t, s, mint(claims)), name)
			}
			for name, claims := range activeClaims {
				assert.Equal(t, true, introspect(t, s, mint(claims))["active"], name)
			}
			assert.Equal(t, "yes", introspect(t, s, mint(oauthztest.Claims{"active": "yes"}))["active"], "nonsense on demand")
		})
	}
	for name, token := range map[string]string{
		"unknown":        "nothing",
		"not ours":       start(t, oauthztest.Config{}).Mint(nil),
		"changed":        s.Mint(nil) + "A",
		"says nothing":   s.Mint(nil, oauthztest.WithRawClaims([]byte("{"))),
		"says null":      s.Mint(nil, oauthztest.WithRawClaims([]byte("null"))),
		"says no object": s.Mint(nil, oauthztest.WithRawClaims([]byte("[]"))),
	} {
		assert.Equal(t, inactive, introspect(t, s, token), name)
	}
}

func TestTokensExpireByTheClock(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1_800_000_000)
	s := start(t, oauthztest.Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	for _, token := range []string{s.Mint(nil), s.MintOpaque(nil)} {
		now.Store(1_800_000_000 + 299)
		got := introspect(t, s, token)
		assert.EqualValues(t, 1_800_000_000, got["iat"])
		assert.EqualValues(t, 1_800_000_300, got["exp"])
		now.Store(1_800_000_000 + 300)
		assert.Equal(t, inactive, introspect(t, s, token))
		now.Store(1_800_000_000)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	byRequest := func(token string) {
		resp, body := post(t, s, s.RevocationURL(), url.Values{"token": {token}, "token_type_hint": {"nonsense"}})
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Empty(t, body)
	}
	for name, revoke := range map[string]func(string){"method": s.Revoke, "endpoint": byRequest} {
		for _, token := range []string{s.Mint(nil), s.MintOpaque(nil)} {
			require.Equal(t, true, introspect(t, s, token)["active"], name)
			revoke(token)
			revoke(token)
			assert.Equal(t, inactive, introspect(t, s, token), name)
		}
		revoke("unknown")
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	token := s.MintOpaque(nil)
	tests := []struct {
		name, contentType, query, body string
	}{
		{name: "no token", contentType: "application/x-www-form-urlencoded", body: "a=b"},
		{name: "empty token", contentType: "application/x-www-form-urlencoded", body: "token="},
		{name: "two tokens", contentType: "application/x-www-form-urlencoded", body: "token=" + token + "&token=" + token},
		{name: "broken escape", contentType: "application/x-www-form-urlencoded", body: "token=%zz"},
		{name: "not a form", contentType: "application/json", body: `{"token":"` + token + `"}`},
		{name: "in the query", contentType: "application/x-www-form-urlencoded", query: "?token=" + token},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, endpoint := range []string{s.IntrospectionURL(), s.RevocationURL()} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+tt.query, strings.NewReader(tt.body))
				require.NoError(t, err)
				r.Header.Set("Content-Type", tt.contentType)
				resp, body := do(t, s, r)
				assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
				assert.JSONEq(t, `{"error":"invalid_request"}`, body)
			}
		})
	}
}

const clientID, clientSecret = "api:1", "pa ss%+ö"

var escapedID, escapedSecret = url.QueryEscape(clientID), url.QueryEscape(clientSecret)

// basic returns a function that sets the credentials of HTTP Basic (RFC 7617).
func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// clientAuthenticationTests are requests, and the answers of a server that knows one client.
var clientAuthenticationTests = []struct {
	name       string
	form       url.Values
	authorize  func(*http.Request)
	wantStatus int
	wantError  string
}{
	{name: "basic", authorize: basic(escapedID, escapedSecret), wantStatus: 200},
	{name: "basic and a client_id that says the same", authorize: basic(escapedID, escapedSecret), form: url.Values{"client_id": {clientID}}, wantStatus: 200},
	{name: "post", form: url.Values{"client_id": {clientID}, "client_secret": {clientSecret}}, wantStatus: 200},
	{name: "none", wantStatus: 401, wantError: "invalid_client"},
	{name: "basic not encoded", authorize: basic("api", clientSecret), wantStatus: 401, wantError: "invalid_client"},
	{name: "basic with a broken escape", authorize: basic(escapedID, "%zz"), wantStatus: 401, wantError: "invalid_client"},
	{name: "basic with another secret", authorize: basic(escapedID, "x"), wantStatus: 401, wantError: "invalid_client"},
	{name: "basic with another id", authorize: basic("x", escapedSecret), wantStatus: 401, wantError: "invalid_client"},
	{name: "post with another secret", form: url.Values{"client_id": {clientID}, "client_secret": {"x"}}, wantStatus: 401, wantError: "invalid_client"},
	{name: "post without id", form: url.Values{"client_secret": {clientSecret}}, wantStatus: 401, wantError: "invalid_client"},
	{name: "bearer", authorize: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, wantStatus: 401, wantError: "invalid_client"},
	{name: "both", authorize: basic(escapedID, escapedSecret), form: url.Values{"client_id": {clientID}, "client_secret": {clientSecret}}, wantStatus: 400, wantError: "invalid_request"},
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{ClientID: clientID, ClientSecret: clientSecret})
	for _, tt := range clientAuthenticationTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, endpoint := range []string{s.IntrospectionURL(), s.RevocationURL()} {
				form := url.Values{"token": {s.MintOpaque(nil)}}
				for name, values := range tt.form {
					form[name] = values
				}
				r := request(t, http.MethodPost, endpoint, form)
				if tt.authorize != nil {
					tt.authorize(r)
				}
				resp, body := do(t, s, r)
				require.Equal(t, tt.wantStatus, resp.StatusCode)
				if tt.wantError != "" {
					assert.JSONEq(t, `{"error":"`+tt.wantError+`"}`, body)
				}
				assert.Equal(t, tt.wantStatus == 401, resp.Header.Get("WWW-Authenticate") == `Basic realm="oauthztest"`)
			}
		})
	}
}
