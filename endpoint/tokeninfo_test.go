package endpoint_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

func TestTokenInfoAnswersWithTheClaims(t *testing.T) {
	t.Parallel()
	full := parseToken(t, `{"iss":"i","sub":"alice","aud":["a","b"],"exp":2,"nbf":1,"iat":1,"jti":"id","client_id":"c","sid":"s","username":"A","scope":"read write","acr":"gold","auth_time":1,"cnf":{"jkt":"k"},"secret":"x"}`)
	full.Tenant = "acme"
	none := answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"api\"", `{}`}
	for _, tt := range []struct {
		name   string
		method string
		token  *oauthz.Token
		want   answer
	}{
		{"all", http.MethodGet, full, activeAnswer(`{"acr":"gold","aud":["a","b"],"auth_time":1,"client_id":"c","cnf":{"jkt":"k"},"exp":2,"iat":1,"iss":"i","scope":"read write","sub":"alice","tenant":"acme","username":"A"}`)},
		{"one claim", http.MethodGet, parseToken(t, `{"sub":"alice"}`), activeAnswer(`{"sub":"alice"}`)},
		{"no claims", http.MethodGet, parseToken(t, `{}`), activeAnswer(`{}`)},
		{"HEAD", http.MethodHead, full, activeAnswer(``)},
		{"no token", http.MethodGet, nil, none},
		{"no token, HEAD", http.MethodHead, nil, answer{none.status, none.header, ""}},
		{"POST", http.MethodPost, full, answer{405, "Allow: GET, HEAD\n" + isJSON, `{"error":"invalid_request"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, "/", nil)
			r = r.WithContext(oauthz.WithToken(r.Context(), tt.token))
			assert.Equal(t, tt.want, serve(t, endpoint.TokenInfo(), r))
		})
	}
}

// Without a Guard every request is answered with 401; behind a Guard only callers with a valid token see its claims.
func TestTokenInfoRequiresAToken(t *testing.T) {
	t.Parallel()
	guard, err := oauthz.New(oauthz.Config{Introspector: claims(t, `{"sub":"alice","scope":"read"}`)})
	require.NoError(t, err)
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer opaque")
		return r
	}
	assert.Equal(t, 401, serve(t, endpoint.TokenInfo(), request()).status)
	assert.Equal(t, activeAnswer(`{"scope":"read","sub":"alice"}`), serve(t, guard.Protect(oauthz.Require())(endpoint.TokenInfo()), request()))
	open := guard.Protect(oauthz.Require().OrAnonymous())(endpoint.TokenInfo())
	assert.Equal(t, 401, serve(t, open, httptest.NewRequest(http.MethodGet, "/", nil)).status)
}
