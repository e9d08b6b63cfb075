package polar_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
	"github.com/oauthz/oauthz/providers/polar"
)

const tokens = `{"token_type":"Bearer","access_token":"a","expires_in":3600,"refresh_token":"r","scope":"openid","id_token":"i"}`

// tokenAnswers are answers of the token endpoint, and whether Token accepts them.
var tokenAnswers = []struct {
	name, body string
	ok         bool
}{
	{"whole", tokens, true},
	{"least", `{"token_type":"bearer","access_token":"a"}`, true},
	{"without refresh and id token", `{"token_type":"Bearer","access_token":"a","expires_in":1,"refresh_token":null,"id_token":null}`, true},
	{"no expiry", `{"token_type":"Bearer","access_token":"a","expires_in":null}`, true},
	{"empty object", `{}`, false},
	{"empty", ``, false},
	{"html", `<html></html>`, false},
	{"an error", `{"error":"invalid_grant"}`, false},
	{"no access token", `{"token_type":"Bearer"}`, false},
	{"access token empty", `{"token_type":"Bearer","access_token":""}`, false},
	{"access token null", `{"token_type":"Bearer","access_token":null}`, false},
	{"access token a number", `{"token_type":"Bearer","access_token":1}`, false},
	{"no type", `{"access_token":"a"}`, false},
	{"another type", `{"token_type":"DPoP","access_token":"a"}`, false},
	{"expires_in a string", `{"token_type":"Bearer","access_token":"a","expires_in":"3600"}`, false},
	{"expires_in negative", `{"token_type":"Bearer","access_token":"a","expires_in":-1}`, false},
	{"refresh token a number", `{"token_type":"Bearer","access_token":"a","refresh_token":1}`, false},
	{"scope an array", `{"token_type":"Bearer","access_token":"a","scope":["a"]}`, false},
	{"scope outside the grammar", `{"token_type":"Bearer","access_token":"a","scope":"\""}`, false},
	{"twice", `{"token_type":"Bearer","access_token":"a","access_token":"b"}`, false},
	{"in capitals", `{"token_type":"Bearer","ACCESS_TOKEN":"a"}`, false},
}

func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range tokenAnswers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, answers(t, 200, tt.body)).Token(t.Context(), polar.AuthorizationCode{Code: "c", RedirectURI: "https://a.example/"})
			if tt.ok {
				require.NoError(t, err)
				assert.Equal(t, oauthz.Secret("a"), got.AccessToken)
				return
			}
			wantMalformed(t, err, "token")
			assert.Nil(t, got)
		})
	}
}

// A lifetime that is too long for a Duration does not become negative.
func TestTokenWithVeryLongLifetime(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, `{"token_type":"Bearer","access_token":"a","expires_in":1e300}`)
	got, err := newClient(t, v).Token(t.Context(), polar.AuthorizationCode{Code: "c", RedirectURI: "https://a.example/"})
	require.NoError(t, err)
	assert.Greater(t, got.ExpiresIn, 50*365*24*time.Hour)
}

func TestTokenRequests(t *testing.T) {
	t.Parallel()
	code := polar.AuthorizationCode{Code: "c d", RedirectURI: "https://a.example/?x=1&y=2", CodeVerifier: "v"}
	want := url.Values{
		"grant_type": {"authorization_code"}, "code": {"c d"}, "redirect_uri": {"https://a.example/?x=1&y=2"}, "code_verifier": {"v"},
	}
	for _, tt := range []struct {
		name, method string
		inForm       bool
	}{
		{"default", "", true},
		{"post", polar.ClientSecretPost, true},
		{"basic", polar.ClientSecretBasic, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, 200, tokens)
			client := newClient(t, v, func(cfg *polar.Config) { cfg.TokenAuthMethod = tt.method })
			_, err := client.Token(t.Context(), code)
			require.NoError(t, err)
			sent := v.Last()
			assert.Equal(t, tt.inForm, sent.Header.Get("Authorization") == "", "Polar enforces the method here")
			id, secret, rest := form(t, sent)
			assert.Equal(t, clientID, id)
			assert.Equal(t, clientSecret, secret)
			assert.Equal(t, want, rest)
		})
	}
}

// Arguments that are wrong are not sent.
func TestOperationsThatDoNotDial(t *testing.T) {
	t.Parallel()
	good := oauthz.Secret(accessToken())
	bad := good[:len(good)-1] + "L"
	for _, tt := range []struct {
		name string
		do   func(context.Context, *polar.Client) error
		want string
	}{
		{"no grant", token(nil), "polar: token: the grant is nil"},
		{"no code", token(polar.AuthorizationCode{RedirectURI: "https://a.example/"}), "polar: token: the grant needs Code and RedirectURI"},
		{"no redirect URI", token(polar.AuthorizationCode{Code: "c"}), "polar: token: the grant needs Code and RedirectURI"},
		{"no refresh token", token(polar.RefreshToken{}), "polar: token: the token does not have the form of a refresh token of Polar"},
		{"an access token to refresh", token(polar.RefreshToken{RefreshToken: good}), "polar: token: the token does not have the form of a refresh token of Polar"},
		{"revoke nothing", revoke("", polar.NoHint), "polar: revoke: the token does not have the form of a token of Polar"},
		{"revoke a typo", revoke(bad, polar.NoHint), "polar: revoke: the token does not have the form of a token of Polar"},
		{"revoke a token that is not ASCII", revoke("polar_at_u_é", polar.NoHint), "polar: revoke: the token does not have the form of a token of Polar"},
		{"hint", revoke(good, "id_token"), "polar: revoke: the hint is not one that Polar supports"},
		{"user info without a token", userInfo(""), "polar: userinfo: the token does not have the form of an access token of Polar"},
		{"user info with a line feed", userInfo(good + "\n"), "polar: userinfo: the token does not have the form of an access token of Polar"},
		{"user info of a refresh token", userInfo(oauthz.Secret(refreshToken())), "polar: userinfo: the token does not have the form of an access token of Polar"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, 200, tokens)
			assert.EqualError(t, tt.do(t.Context(), newClient(t, v)), tt.want)
			assert.Zero(t, v.Calls())
		})
	}
}

type operation = func(context.Context, *polar.Client) error

func token(grant polar.Grant) operation {
	return func(ctx context.Context, c *polar.Client) error { _, err := c.Token(ctx, grant); return err }
}

func revoke(token oauthz.Secret, hint polar.Hint) operation {
	return func(ctx context.Context, c *polar.Client) error { return c.Revoke(ctx, token, hint) }
}

func userInfo(token oauthz.Secret) operation {
	return func(ctx context.Context, c *polar.Client) error { _, err := c.UserInfo(ctx, token); return err }
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		token      string
		hint       polar.Hint
		ok         bool
	}{
		{"access token", `{}`, accessToken(), polar.HintAccessToken, true},
		{"refresh token", `{}`, refreshToken(), polar.HintRefreshToken, true},
		{"no hint", `{}`, refreshToken(), polar.NoHint, true},
		{"html", `<html></html>`, accessToken(), polar.NoHint, false},
		{"empty", ``, accessToken(), polar.NoHint, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, 200, tt.body)
			err := newClient(t, v).Revoke(t.Context(), oauthz.Secret(tt.token), tt.hint)
			want := url.Values{"token": {tt.token}}
			if tt.hint != "" {
				want.Set("token_type_hint", string(tt.hint))
			}
			_, _, rest := form(t, v.Last())
			assert.Equal(t, want, rest)
			if tt.ok {
				assert.NoError(t, err)
				return
			}
			wantMalformed(t, err, "revoke")
		})
	}
}

func TestUserInfoAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		ok         bool
	}{
		{"least", `{"sub":"s"}`, true},
		{"nulls", `{"sub":"s","name":null,"email":null,"email_verified":null}`, true},
		{"empty object", `{}`, false},
		{"html", `<html></html>`, false},
		{"sub a number", `{"sub":1}`, false},
		{"sub empty", `{"sub":""}`, false},
		{"email a number", `{"sub":"s","email":1}`, false},
		{"email_verified a string", `{"sub":"s","email_verified":"true"}`, false},
		{"twice", `{"sub":"s","sub":"t"}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, answers(t, 200, tt.body)).UserInfo(t.Context(), oauthz.Secret(accessToken()))
			if tt.ok {
				require.NoError(t, err)
				assert.Equal(t, polar.UserInfo{Subject: "s"}, *got)
				return
			}
			wantMalformed(t, err, "userinfo")
			assert.Nil(t, got)
		})
	}
}

// An HTML page is not an answer, even if it holds JSON.
func TestOperationsDemandJSON(t *testing.T) {
	t.Parallel()
	const all = `{"active":false,"sub":"s","token_type":"Bearer","access_token":"a"}`
	for _, contentType := range []string{"text/html; charset=utf-8", "text/json", "application/json; x=\"", "application/token-introspection+jwt"} {
		v := answers(t, 200, all)
		v.Answer.Header.Set("Content-Type", contentType)
		client := newClient(t, v)
		_, rawErr := client.IntrospectRaw(t.Context(), oauthz.Secret(accessToken()))
		for _, err := range []error{
			rawErr, userInfo(oauthz.Secret(accessToken()))(t.Context(), client),
			revoke(oauthz.Secret(accessToken()), polar.NoHint)(t.Context(), client),
			token(polar.RefreshToken{RefreshToken: oauthz.Secret(refreshToken())})(t.Context(), client),
		} {
			assert.ErrorContains(t, err, ": status 200: the answer is malformed: the content type is not JSON")
		}
	}
}

const canary = "canary-answer"

// everything calls all operations, and returns their errors.
func everything(t *testing.T, client *polar.Client) (errs []error) {
	_, err := client.Introspect(t.Context(), accessToken())
	errs = append(errs, err)
	_, err = client.Introspect(t.Context(), refreshToken())
	errs = append(errs, err)
	_, err = client.IntrospectRaw(t.Context(), oauthz.Secret(accessToken()))
	errs = append(errs, err, userInfo(oauthz.Secret(accessToken()))(t.Context(), client),
		revoke(oauthz.Secret(accessToken()), polar.NoHint)(t.Context(), client),
		token(polar.RefreshToken{RefreshToken: oauthz.Secret(refreshToken())})(t.Context(), client),
		token(polar.AuthorizationCode{Code: canary, RedirectURI: "https://a.example/" + canary, CodeVerifier: canary})(t.Context(), client))
	return errs
}

// echoes are answers that hold canary.
var echoes = []struct {
	name   string
	status int
	body   string
}{
	{"400", 400, `{"error":"canary-answer"}`},
	{"401", 401, `canary-answer`},
	{"429", 429, `canary-answer`},
	{"500", 500, `canary-answer`},
	{"nonsense", 200, `{"canary-answer":canary-answer}`},
	{"wrong types", 200, `{"active":true,"sub":{"canary-answer":1},"client_id":"canary-answer","token_type":"canary-answer","access_token":"canary-answer"}`},
	{"twice", 200, `{"canary-answer":1,"canary-answer":2}`},
	{"no answer", 0, ``},
}

// Neither an error nor a printed Client holds a secret or a byte of an answer.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range echoes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, tt.status, tt.body)
			v.Answer.Header.Set("WWW-Authenticate", canary)
			v.Answer.Header.Set("Retry-After", canary)
			client := newClient(t, v, func(cfg *polar.Config) {
				if tt.status == 0 {
					cfg.HTTPClient = &http.Client{Transport: vendortest.RoundTrip(func(r *http.Request) (*http.Response, error) {
						return nil, errors.New(r.Header.Get("Authorization") + accessToken() + canary)
					})}
				}
			})
			for _, err := range everything(t, client) {
				if err == nil { // in the rows with status 200, some operations accept the answer
					continue
				}
				text := fmt.Sprintf("%v %+v %#v %q", err, err, err, err)
				for _, secret := range []string{"canary", random, "Basic "} {
					assert.NotContains(t, text, secret)
				}
			}
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", client, client, client), "canary")
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	cfg := polar.Config{ClientSecret: "canary"}
	grants := []polar.Grant{
		polar.AuthorizationCode{Code: "canary", CodeVerifier: "canary"}, polar.RefreshToken{RefreshToken: "canary"},
	}
	got := polar.TokenResponse{AccessToken: "canary", RefreshToken: "canary", IDToken: "canary"}
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %v %+v %v %+v", cfg, cfg, cfg, grants, grants, got, &got), "canary")
}

func TestCancelledOperation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := newClient(t, answers(t, 200, `{}`)).Revoke(ctx, oauthz.Secret(accessToken()), polar.NoHint)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
}
