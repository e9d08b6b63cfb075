package agilicus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	v := answers(t, 201, `{"token":"new","refresh_token":"again","time_validity":{"duration":60},"user":{}}`)
	no := false
	got, err := newClient(t, v).Create(t.Context(), agilicus.CreateTokenRequest{
		Subject: "s", Org: "o", Audiences: []string{"a", "b"}, TimeValidity: agilicus.TimeValidity{Seconds: 60},
		Roles: map[string]string{"app": "owner"}, Session: "x", Scopes: []string{"r?"}, InheritSession: &no, CreateRefreshToken: true, GetUser: true,
		Hosts:         []agilicus.HostPermissions{{UpstreamHost: "h", AllowedList: []json.RawMessage{json.RawMessage(`{"methods":["get"]}`)}}},
		TokenValidity: &agilicus.TokenValidity{Start: clock.UTC(), DoesNotExpire: true},
	})
	require.NoError(t, err)
	assert.Equal(t, agilicus.RawToken{Token: "new", RefreshToken: "again"}, *got)
	sent := v.Last()
	assert.Equal(t, "POST /v1/tokens", sent.Method+" "+sent.Path)
	assert.Equal(t, "Bearer "+apiToken, sent.Header.Get("Authorization"))
	assert.JSONEq(t, `{"sub":"s","org":"o","audiences":["a","b"],"time_validity":{"duration":60},"roles":{"app":"owner"},"session":"x",
		"scopes":["r?"],"inherit_session":false,"create_refresh_token":true,"get_user":true,
		"hosts":[{"upstream_host":"h","allowed_list":[{"methods":["get"]}]}],
		"token_validity":{"start":"2026-01-05T21:53:20Z","does_not_expire":true}}`, sent.Body)
}

func TestRevokeAllSessions(t *testing.T) {
	t.Parallel()
	v := answers(t, 204, ``)
	require.NoError(t, newClient(t, v).Revoke(t.Context(), jwt, agilicus.RevokeOptions{AllSessions: true}))
	assert.JSONEq(t, `{"token":"`+jwt+`","all_sessions":true}`, v.Last().Body)
}

// Values are escaped, so that a value cannot add a parameter.
func TestListQuery(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, `{"limit":7}`)
	no := false
	got, err := newClient(t, v).List(t.Context(), agilicus.ListOptions{
		Limit: 7, Subject: "a&revoked=true", Org: "o#?/", ID: "j +", Session: "x%2F", Scopes: "urn:%",
		ExpiresFrom: "1 day ago", ExpiresTo: "now", IssuedFrom: "é", IssuedTo: "\n", Revoked: &no,
	})
	require.NoError(t, err)
	assert.Equal(t, agilicus.TokenList{Limit: 7}, *got)
	sent := v.Last()
	assert.Equal(t, "/v1/tokens", sent.Path)
	query, err := url.ParseQuery(sent.RawQuery)
	require.NoError(t, err)
	assert.Equal(t, url.Values{
		"limit": {"7"}, "sub": {"a&revoked=true"}, "org": {"o#?/"}, "jti": {"j +"}, "session": {"x%2F"}, "scopes": {"urn:%"},
		"exp_from": {"1 day ago"}, "exp_to": {"now"}, "iat_from": {"é"}, "iat_to": {"\n"}, "revoked": {"false"},
	}, query)

	_, err = newClient(t, v).List(t.Context(), agilicus.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, v.Last().RawQuery)
}

const (
	echo = `{"sub":"s","org":"o","audiences":["a"],"time_validity":{"duration":60}}`
	page = `<html>ok</html>`
)

// operationAnswers are answers to operations, and whether the operation accepts them.
var operationAnswers = []struct {
	operation string
	status    int
	body      string
	ok        bool
}{
	{"reissue", 200, `{"token":"t"}`, true},
	{"reissue", 200, `{}`, false},
	{"reissue", 200, ``, false},
	{"reissue", 200, page, false},
	{"reissue", 200, `{"token":""}`, false},
	{"reissue", 200, `{"token":null}`, false},
	{"reissue", 200, `{"token":1}`, false},
	{"reissue", 200, `{"TOKEN":"t"}`, false},
	{"reissue", 200, `{"token":"t","token":"u"}`, false},
	{"reissue", 201, `{"token":"t"}`, false},
	{"create", 201, `{"token":"t"}`, true},
	{"create", 201, `{}`, false},
	{"create", 201, page, false},
	{"create", 201, `{"token":"t","refresh_token":1}`, false},
	{"create", 200, `{"token":"t"}`, false},
	{"create", 401, `{"token":"t"}`, false},
	{"revoke", 204, ``, true},
	{"revoke", 200, page, false},
	{"revoke", 200, `{}`, false},
	{"revoke", 404, ``, false},
	{"validate", 200, echo, true},
	{"validate", 200, `{}`, false},
	{"validate", 200, page, false},
	{"validate", 200, `{"sub":"s","org":"o","audiences":["a"]}`, false},
	{"validate", 200, `{"sub":"s","org":"o","audiences":"a","time_validity":{"duration":60}}`, false},
	{"validate", 200, `{"sub":"s","org":"o","audiences":["a"],"time_validity":60}`, false},
	{"validate", 403, echo, false},
	{"list", 200, `{"limit":1}`, true},
	{"list", 200, `{"limit":1,"tokens":null}`, true},
	{"list", 200, `{"limit":1,"tokens":[{}]}`, true}, // a listed token has no required members
	{"list", 200, `{}`, false},
	{"list", 200, page, false},
	{"list", 200, `[]`, false},
	{"list", 200, `{"limit":"1"}`, false},
	{"list", 200, `{"limit":-1}`, false},
	{"list", 200, `{"limit":1.5}`, false},
	{"list", 200, `{"limit":1,"tokens":{}}`, false},
	{"list", 200, `{"limit":1,"tokens":[1]}`, false},
	{"list", 200, `{"limit":1,"tokens":[{"sub":"s","exp":1}]}`, false},
	{"list", 200, `{"limit":1,"tokens":[{"sub":"s","sub":"t"}]}`, false},
}

func TestOperationAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range operationAnswers {
		t.Run(fmt.Sprintf("%s %d %s", tt.operation, tt.status, tt.body), func(t *testing.T) {
			t.Parallel()
			client := newClient(t, answers(t, tt.status, tt.body))
			err := map[string]func() error{
				"reissue":  func() error { _, err := client.Reissue(t.Context(), jwt, "o"); return err },
				"create":   func() error { _, err := client.Create(t.Context(), request); return err },
				"revoke":   func() error { return client.Revoke(t.Context(), jwt, agilicus.RevokeOptions{}) },
				"validate": func() error { _, err := client.Validate(t.Context(), request); return err },
				"list":     func() error { _, err := client.List(t.Context(), agilicus.ListOptions{}); return err },
			}[tt.operation]()
			if tt.ok {
				assert.NoError(t, err)
				return
			}
			operationError(t, err, tt.operation, tt.status)
		})
	}
}

// An HTML page is not an answer, even if it holds JSON.
func TestOperationsDemandJSON(t *testing.T) {
	t.Parallel()
	const all = `{"sub":"s","exp":"1767653600","org":"o","audiences":["a"],"time_validity":{"duration":60},"token":"t","limit":1}`
	for _, tt := range []struct {
		status     int
		operations []int // of everything
	}{{200, []int{1, 2, 5, 6}}, {201, []int{4}}} {
		v := answers(t, tt.status, all)
		v.Answer.Header.Set("Content-Type", "text/html; charset=utf-8")
		errs := everything(t.Context(), newClient(t, v))
		assert.Equal(t, "fault", vendortest.Verdict(nil, errs[0]))
		for _, i := range tt.operations {
			assert.ErrorContains(t, errs[i], "the answer is malformed: the content type is not JSON")
		}
	}
}

// source returns a change of a Config: its BearerToken returns token and err.
func source(token oauthz.Secret, err error) func(*agilicus.Config) {
	return func(cfg *agilicus.Config) {
		cfg.BearerToken = func(context.Context) (oauthz.Secret, error) { return token, err }
	}
}

func noSource(cfg *agilicus.Config) { cfg.BearerToken = nil }

func keep(*agilicus.Config) {}

func create(ctx context.Context, c *agilicus.Client) error {
	_, err := c.Create(ctx, request)
	return err
}

func list(ctx context.Context, c *agilicus.Client) error {
	_, err := c.List(ctx, agilicus.ListOptions{})
	return err
}

// changed calls Create and Validate with a request that edit has changed.
func changed(edit func(*agilicus.CreateTokenRequest)) func(context.Context, *agilicus.Client) error {
	return func(ctx context.Context, c *agilicus.Client) error {
		r := request
		edit(&r)
		_, err := c.Create(ctx, r)
		if _, validateErr := c.Validate(ctx, r); (validateErr == nil) != (err == nil) {
			return errors.New("Validate differs from Create")
		}
		return err
	}
}

const incomplete = "agilicus: create: the request needs Subject, Org, Audiences and TimeValidity"

// unsent are operations whose arguments are wrong, or that need a credential that is missing.
var unsent = []struct {
	name string
	edit func(*agilicus.Config)
	do   func(context.Context, *agilicus.Client) error
	want string
}{
	{"create without a source", noSource, create, "agilicus: create: the operation needs an API token, and Config.BearerToken is nil"},
	{"list without a source", noSource, list, "agilicus: list: the operation needs an API token, and Config.BearerToken is nil"},
	{"a source that fails", source("", errors.New("canary")), create, "agilicus: create: the operation needs an API token, and Config.BearerToken returned none"},
	{"an empty token", source("", nil), list, "agilicus: list: the operation needs an API token, and Config.BearerToken returned none"},
	{"a token with a line feed", source("canary\n", nil), list, "agilicus: list: the operation needs an API token, and Config.BearerToken returned none"},
	{"no organization", keep, func(ctx context.Context, c *agilicus.Client) error {
		_, err := c.Reissue(ctx, jwt, "")
		return err
	}, "agilicus: reissue: the organization is empty"},
	{"a negative limit", keep, func(ctx context.Context, c *agilicus.Client) error {
		_, err := c.List(ctx, agilicus.ListOptions{Limit: -1})
		return err
	}, "agilicus: list: the limit is negative"},
	{"no subject", keep, changed(func(r *agilicus.CreateTokenRequest) { r.Subject = "" }), incomplete},
	{"no org", keep, changed(func(r *agilicus.CreateTokenRequest) { r.Org = "" }), incomplete},
	{"no audiences", keep, changed(func(r *agilicus.CreateTokenRequest) { r.Audiences = nil }), incomplete},
	{"no validity", keep, changed(func(r *agilicus.CreateTokenRequest) { r.TimeValidity.Seconds = 0 }), incomplete},
	{"hosts that are not JSON", keep, func(ctx context.Context, c *agilicus.Client) error {
		r := request
		r.Hosts = []agilicus.HostPermissions{{AllowedList: []json.RawMessage{json.RawMessage(`canary`)}}}
		_, err := c.Create(ctx, r)
		return err
	}, "agilicus: create: the request cannot be made"},
}

func TestOperationsThatDoNotDial(t *testing.T) {
	t.Parallel()
	for _, tt := range unsent {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, 200, good)
			assert.EqualError(t, tt.do(t.Context(), newClient(t, v, tt.edit)), tt.want)
			assert.Zero(t, v.Calls())
		})
	}
}

// Only Create and List need a credential: no other operation calls BearerToken, or sends an API token.
func TestOnlyCreateAndListHaveTheAPIToken(t *testing.T) {
	t.Parallel()
	v := answers(t, 400, `{}`)
	called := 0
	client := newClient(t, v, func(cfg *agilicus.Config) {
		cfg.BearerToken = func(context.Context) (oauthz.Secret, error) { called++; return apiToken, nil }
	})
	_ = everything(t.Context(), client)
	assert.Equal(t, 2, called)
	assert.Equal(t, 7, v.Calls())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := answers(t, 200, good)
	for _, status := range []int{301, 302, 303, 307, 308} {
		v := answers(t, status, good)
		v.Answer.Header.Set("Location", elsewhere.URL)
		errs := everything(t.Context(), newClient(t, v))
		assert.Equal(t, "fault", vendortest.Verdict(nil, errs[0]))
		for i, operation := range []string{"introspect", "reissue", "revoke", "create", "validate", "list"} {
			operationError(t, errs[i+1], operation, status)
		}
	}
	assert.Zero(t, elsewhere.Calls())
}

// Neither an error nor a printed Client holds a token or a byte of an answer.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
	}{
		{"400", 400, `{"error_code":"canary","error_message":"canary"}`},
		{"401", 401, `canary`},
		{"410", 410, `canary`},
		{"429", 429, `canary`},
		{"500", 500, `canary`},
		{"nonsense", 200, `{"canary":canary}`},
		{"nonsense, created", 201, `{"canary":canary}`},
		{"wrong types", 200, `{"sub":"canary","exp":"canary","org":["canary"],"token":{"canary":1},"limit":"canary","tokens":"canary"}`},
		{"wrong types inside", 200, `{"sub":"s","exp":"1767653600","roles":{"canary":{"canary":1}},"limit":1,"tokens":[{"canary":1,"roles":{"canary":"canary"}}],` +
			`"org":"o","audiences":[],"time_validity":{"canary":1,"duration":"canary"}}`},
		{"wrong hosts", 200, `{"sub":"s","exp":"1767653600","hosts":[{"upstream_host":{"canary":1}}]}`},
		{"twice", 200, `{"canary":1,"canary":2}`},
		{"no answer", 0, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, tt.status, tt.body)
			v.Answer.Header.Set("Retry-After", "canary")
			client := newClient(t, v, func(cfg *agilicus.Config) {
				if tt.status == 0 {
					cfg.HTTPClient = &http.Client{Transport: vendortest.RoundTrip(func(r *http.Request) (*http.Response, error) {
						return nil, errors.New(r.Header.Get("Authorization") + jwt)
					})}
				}
			})
			for i, err := range everything(t.Context(), client) {
				require.Error(t, err, "operation %d", i)
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v %q", err, err, err, err), "canary")
			}
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", client, client, client), "canary")
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	got := agilicus.RawToken{Token: "canary", RefreshToken: "canary"}
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %v", got, got, got, &got), "canary")
}

func TestCancelledOperation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := newClient(t, answers(t, 204, ``)).Revoke(ctx, jwt, agilicus.RevokeOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
}

// List also returns tokens that have expired, and refresh tokens.
func TestListReturnsExpiredTokens(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, `{"limit":2,"tokens":[{"sub":"a","exp":"1000"},{"sub":"b","refresh_token_jti":"r"}]}`)
	got, err := newClient(t, v).List(t.Context(), agilicus.ListOptions{})
	require.NoError(t, err)
	require.Len(t, got.Tokens, 2)
	assert.Equal(t, time.Unix(1000, 0).UTC(), got.Tokens[0].ExpiresAt)
	assert.Equal(t, "r", got.Tokens[1].RefreshTokenID)
	assert.True(t, got.Tokens[1].ExpiresAt.IsZero())
}
