package polar_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
	"github.com/oauthz/oauthz/providers/polar"
)

const active = `{"active":true,"client_id":"polar_ci_abc","token_type":"Bearer","scope":"openid email","sub_type":"user",` +
	`"sub":"1dbfc517","organizations":["o1","o2"],"aud":"polar_ci_abc","iss":"https://polar.sh","exp":1768514000,"iat":1767649940}`

// with returns active with one part changed.
func with(from, to string) string {
	if !strings.Contains(active, from) {
		panic("the answer does not contain " + from)
	}
	return strings.Replace(active, from, to, 1)
}

var html = http.Header{"Content-Type": {"text/html"}}

// introspectAnswers are answers of the vendor, and the verdict of Introspect about them.
var introspectAnswers = []struct {
	name   string
	status int
	header http.Header // default: JSON
	body   string
	want   string
}{
	{name: "active", body: active, want: "token"},
	{name: "no content type", header: http.Header{"Content-Type": nil}, body: active, want: "token"},
	{name: "an older answer, without organizations", body: with(`"organizations":["o1","o2"],`, ``), want: "token"},
	{name: "aud an array", body: with(`"aud":"polar_ci_abc"`, `"aud":["polar_ci_abc"]`), want: "token"},
	{name: "no scope", body: with(`"scope":"openid email",`, ``), want: "token"},

	{name: "nulls are absent", body: with(`"iat":`, `"jti":null,"nbf":null,"cnf":null,"username":null,"iat":`), want: "token"},
	{name: "inactive", body: `{"active":false}`, want: "refusal"},
	{name: "inactive with all members", body: with(`true`, `false`), want: "refusal"},
	{name: "inactive with members null", body: `{"active":false,"client_id":null,"sub":null,"exp":null}`, want: "refusal"},
	{name: "issued to another client", body: with(`"client_id":"polar_ci_abc"`, `"client_id":"polar_ci_other"`), want: "refusal"},
	{name: "for another client", body: with(`"aud":"polar_ci_abc"`, `"aud":"polar_ci_other"`), want: "refusal"},
	{name: "of another issuer", body: with(`https://polar.sh`, `https://evil.example`), want: "refusal"},
	{name: "expired", body: with(`1768514000`, `1767640000`), want: "refusal"},
	{name: "not yet valid", body: with(`"iat":`, `"nbf":1768510000,"iat":`), want: "refusal"},
	{name: "a refresh token by its type", body: with(`"Bearer"`, `"refresh_token"`), want: "refusal"},

	{name: "empty object", body: `{}`, want: "fault"},
	{name: "empty", body: ``, want: "fault"},
	{name: "null", body: `null`, want: "fault"},
	{name: "array", body: `[` + active + `]`, want: "fault"},
	{name: "two documents", body: active + active, want: "fault"},
	{name: "truncated", body: active[:100], want: "fault"},
	{name: "html", header: html, body: `<html>ok</html>`, want: "fault"},
	{name: "JSON with the content type html", header: html, body: active, want: "fault"},
	{name: "html with the content type JSON", body: `<html>ok</html>`, want: "fault"},
	{name: "active only", body: `{"active":true}`, want: "fault"},
	{name: "active missing", body: with(`"active":true,`, ``), want: "fault"},
	{name: "active a string", body: with(`true`, `"true"`), want: "fault"},
	{name: "active a number", body: with(`true`, `1`), want: "fault"},
	{name: "active null", body: with(`true`, `null`), want: "fault"},
	{name: "active false, a string", body: with(`true`, `"false"`), want: "fault"},
	{name: "active in capitals", body: with(`"active"`, `"Active"`), want: "fault"},
	{name: "active twice", body: with(`{`, `{"active":false,`), want: "fault"},
	{name: "a member twice", body: with(`"sub":`, `"sub":"admin","sub":`), want: "fault"},
	{name: "client_id missing", body: with(`"client_id":"polar_ci_abc",`, ``), want: "fault"},
	{name: "client_id a number", body: with(`"client_id":"polar_ci_abc"`, `"client_id":1`), want: "fault"},
	{name: "client_id empty", body: with(`"client_id":"polar_ci_abc"`, `"client_id":""`), want: "fault"},
	{name: "sub missing", body: with(`"sub":"1dbfc517",`, ``), want: "fault"},
	{name: "sub empty", body: with(`"sub":"1dbfc517"`, `"sub":""`), want: "fault"},
	{name: "sub a number", body: with(`"sub":"1dbfc517"`, `"sub":7`), want: "fault"},
	{name: "sub null", body: with(`"sub":"1dbfc517"`, `"sub":null`), want: "fault"},
	{name: "sub_type missing", body: with(`"sub_type":"user",`, ``), want: "fault"},
	{name: "sub_type unknown", body: with(`"sub_type":"user"`, `"sub_type":"user/x"`), want: "fault"},
	{name: "aud missing", body: with(`"aud":"polar_ci_abc",`, ``), want: "fault"},
	{name: "aud an object", body: with(`"aud":"polar_ci_abc"`, `"aud":{}`), want: "fault"},
	{name: "exp missing", body: with(`"exp":1768514000,`, ``), want: "fault"},
	{name: "exp a string", body: with(`1768514000`, `"1768514000"`), want: "fault"},
	{name: "exp out of range", body: with(`1768514000`, `1e19`), want: "fault"},
	{name: "iat a string", body: with(`1767649940`, `"1767649940"`), want: "fault"},
	{name: "iss a number", body: with(`"https://polar.sh"`, `1`), want: "fault"},
	{name: "scope an array", body: with(`"openid email"`, `["openid"]`), want: "fault"},
	{name: "organizations a string", body: with(`["o1","o2"]`, `"o1"`), want: "fault"},
	{name: "organizations of numbers", body: with(`["o1","o2"]`, `[1]`), want: "fault"},
	{name: "cnf nonsense", body: with(`"iat":`, `"cnf":"x","iat":`), want: "fault"},
	{name: "too long", body: with(`"iat":`, `"x":"`+strings.Repeat("x", 1<<20)+`","iat":`), want: "fault"},

	{name: "201", status: 201, body: active, want: "fault"},
	{name: "204", status: 204, want: "fault"},
	{name: "400", status: 400, body: `{"error":"invalid_request"}`, want: "fault"},
	{name: "400 unsupported_token_type is about our hint", status: 400, body: `{"error":"unsupported_token_type"}`, want: "fault"},
	{name: "401", status: 401, body: `{"error":"invalid_client"}`, want: "fault"},
	{name: "401 invalid_token is about a header", status: 401, body: `{"error":"invalid_token"}`, want: "fault"},
	{name: "401 with an inactive answer", status: 401, body: `{"active":false}`, want: "fault"},
	{name: "403", status: 403, body: `{"active":false}`, want: "fault"},
	{name: "404", status: 404, body: `{"active":false}`, want: "fault"},
	{name: "410", status: 410, body: `{"active":false}`, want: "fault"},
	{name: "500", status: 500, body: `{"active":false}`, want: "fault"},
	{name: "503", status: 503, want: "fault"},
}

func TestIntrospectAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range introspectAnswers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.status == 0 {
				tt.status = 200
			}
			v := answers(t, tt.status, tt.body)
			if tt.header != nil {
				v.Answer.Header = tt.header
			}
			token, err := newClient(t, v).Introspect(t.Context(), accessToken())
			assert.Equal(t, tt.want, vendortest.Verdict(token, err), "%v", err)
			assert.NotZero(t, v.Calls())
			if err != nil {
				assert.Nil(t, token)
			}
		})
	}
}

func TestIntrospectedToken(t *testing.T) {
	t.Parallel()
	token, err := newClient(t, answers(t, 200, with(`"iss":"https://polar.sh",`, ``))).Introspect(t.Context(), accessToken())
	require.NoError(t, err)
	assert.Equal(t, "user/1dbfc517", token.Subject)
	assert.Equal(t, polar.Issuer, token.Issuer, "the issuer of a token whose answer names none")
	assert.Equal(t, clientID, token.ClientID)
	assert.Equal(t, oauthz.Scopes{"openid", "email"}, token.Scopes)
	assert.Empty(t, token.Tenant)
	require.NoError(t, oauthz.RequireClaim("organizations", "o2").Check(token, clock))
	require.Error(t, oauthz.RequireClaim("organizations", "o3").Check(token, clock))
	hash, ok := token.Claim(oauthz.MatchTokenHash)
	assert.True(t, ok)
	assert.JSONEq(t, `"`+oauthz.TokenHash(accessToken())+`"`, string(hash))
}

var goodToken = accessToken()

// candidates are tokens, and the verdict of Introspect about them. The checksums of the first four were computed with Python's zlib.
var candidates = []struct {
	name, token string
	want        string // of Introspect; token: it was sent
}{
	{"user", "polar_at_u_" + random + "07aUzK", "token"},
	{"organization", "polar_at_o_" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJK" + "4WQsSZ", "token"},
	{"a checksum with one leading zero", "polar_at_u_" + "0000000000000000000000000000000000002" + "0cmqka", "token"},
	{"a checksum with two leading zeros", "polar_at_u_" + "0000000000000000000000000000000000284" + "006StP", "token"},
	{"minted", mint("polar_at_o_", random), "token"},

	{"refresh token of a user", mint("polar_rt_u_", random), "refusal"},
	{"refresh token of an organization", mint("polar_rt_o_", random), "refusal"},
	{"client secret", mint("polar_cs_", random), "refusal"},
	{"authorization code", mint("polar_ac_", random), "refusal"},
	{"organization access token", mint("polar_oat_", random), "refusal"},
	{"customer session", mint("polar_cst_", random), "refusal"},
	{"another kind", mint("polar_at_x_", random), "refusal"},
	{"checksum wrong", goodToken[:len(goodToken)-1] + "L", "refusal"},
	{"checksum in the other alphabet", "polar_at_u_" + random + "07AuZk", "refusal"},
	{"checksum with the prefix in it", "polar_at_u_" + random + mint("", "polar_at_u_"+random)[48:], "refusal"},
	{"a character changed", strings.Replace(goodToken, "Zz", "Zx", 1), "refusal"},
	{"short", goodToken[:len(goodToken)-1], "refusal"},
	{"long", goodToken + "0", "refusal"},
	{"random part short", mint("polar_at_u_", random[1:]), "refusal"},
	{"random part long", mint("polar_at_u_", random+"0"), "refusal"},
	{"not a letter", mint("polar_at_u_", "-"+random[1:]), "refusal"},
	{"not a letter, in the middle", mint("polar_at_u_", random[:9]+"_"+random[10:]), "refusal"},
	{"space", mint("polar_at_u_", " "+random[1:]), "refusal"},
	{"newline", mint("polar_at_u_", random[1:]+"\n"), "refusal"},
	{"newline behind", goodToken + "\n", "refusal"},
	{"not ASCII", mint("polar_at_u_", "é"+random[2:]), "refusal"},
	{"prefix alone", "polar_at_u_", "refusal"},

	{"newline before", "\n" + goodToken, "unrecognized"},
	{"space before", " " + goodToken, "unrecognized"},
	{"empty", "", "unrecognized"},
	{"prefix in capitals", "POLAR_AT_U_" + goodToken[11:], "unrecognized"},
	{"JWT", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "unrecognized"},
	{"not ASCII at all", "ключ", "unrecognized"},
	{"long garbage", strings.Repeat("x", 1<<16), "unrecognized"},
}

func TestIntrospectSendsOnlyAccessTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range candidates {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, 200, active)
			client := newClient(t, v)
			token, err := client.Introspect(t.Context(), tt.token)
			assert.Equal(t, tt.want, vendortest.Verdict(token, err), "%v", err)
			_, rawErr := client.IntrospectRaw(t.Context(), oauthz.Secret(tt.token))
			if tt.want == "token" {
				assert.NoError(t, rawErr)
				assert.Equal(t, 2, v.Calls())
				return
			}
			assert.EqualError(t, rawErr, "polar: introspect: the token does not have the form of an access token of Polar")
			assert.Zero(t, v.Calls(), "it was sent")
			if len(tt.token) > 11 {
				assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), tt.token[11:])
			}
		})
	}
}

// A refresh token is not passed on to the next introspector.
func TestRefreshTokenEndsFirstOf(t *testing.T) {
	t.Parallel()
	next := oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
		t.Error("the next introspector was called")
		return nil, oauthz.ErrUnrecognized
	})
	chain, err := oauthz.FirstOf(newClient(t, answers(t, 200, active)), next)
	require.NoError(t, err)
	_, err = chain.Introspect(t.Context(), refreshToken())
	require.ErrorIs(t, err, oauthz.ErrInvalidToken)
}

func TestIntrospectFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		status     int
		retryAfter string
		want       time.Duration
	}{
		{"429 in seconds", 429, "17", 17 * time.Second},
		{"429 as a date", 429, clock.Add(30 * time.Second).UTC().Format(http.TimeFormat), 30 * time.Second},
		{"429 without", 429, "", 0},
		{"503", 503, "9", 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, tt.status, `{"error":"rate_limited"}`)
			if tt.retryAfter != "" {
				v.Answer.Header.Set("Retry-After", tt.retryAfter)
			}
			client := newClient(t, v)
			token, err := client.Introspect(t.Context(), accessToken())
			require.Equal(t, "fault", vendortest.Verdict(token, err))
			var out *oauthz.Error
			require.ErrorAs(t, err, &out)
			assert.Equal(t, http.StatusServiceUnavailable, out.Status)
			assert.Equal(t, tt.want, out.RetryAfter)

			_, err = client.IntrospectRaw(t.Context(), oauthz.Secret(accessToken()))
			operationError(t, err, "introspect", tt.status)
			var failed *providers.OperationError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, tt.want, failed.RetryAfter)
			assert.ErrorIs(t, err, oauthz.ErrUnavailable)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := answers(t, 200, active)
	for _, status := range []int{301, 302, 303, 307, 308} {
		v := answers(t, status, active)
		v.Answer.Header.Set("Location", elsewhere.URL)
		client := newClient(t, v)
		token, err := client.Introspect(t.Context(), accessToken())
		assert.Equal(t, "fault", vendortest.Verdict(token, err))
		_, err = client.IntrospectRaw(t.Context(), oauthz.Secret(accessToken()))
		operationError(t, err, "introspect", status)
		_, err = client.UserInfo(t.Context(), oauthz.Secret(accessToken()))
		operationError(t, err, "userinfo", status)
		_, err = client.Token(t.Context(), polar.RefreshToken{RefreshToken: oauthz.Secret(refreshToken())})
		operationError(t, err, "token", status)
		err = client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.NoHint)
		operationError(t, err, "revoke", status)
	}
	assert.Zero(t, elsewhere.Calls())
}

// Polar reads a Bearer before all other credentials: the request must not have the token of the caller there.
func TestIntrospectForwardsNothing(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, active)
	guard, err := oauthz.New(oauthz.Config{Introspector: newClient(t, v), Now: func() time.Time { return clock }})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+accessToken())
	r.Header.Set("Cookie", "a=b")
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require("openid"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := oauthz.TokenFrom(r.Context())
		assert.True(t, ok)
		assert.Equal(t, "user/1dbfc517", token.Subject)
	})).ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
	sent := v.Last()
	assert.True(t, strings.HasPrefix(sent.Header.Get("Authorization"), "Basic "))
	assert.Empty(t, sent.Header.Get("Cookie"))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, active)
	client := newClient(t, v)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := client.Introspect(t.Context(), accessToken())
			assert.NoError(t, err)
			_, err = client.IntrospectRaw(t.Context(), oauthz.Secret(accessToken()))
			assert.NoError(t, err)
			assert.NoError(t, client.Revoke(t.Context(), oauthz.Secret(accessToken()), polar.HintAccessToken))
		})
	}
	group.Wait()
	assert.Equal(t, 48, v.Calls())
}
