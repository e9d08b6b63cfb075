package affix_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/affix"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

const (
	payruns = "/2023-03-01/xhr/payruns/:payrun_id"
	whole   = `{"client_id":"` + ours + `","mode":"xhr","provider":"parolla.ie","scopes":["` + payruns + `","identity"],"extra":1}`
)

// with returns an answer that differs from whole in one part.
func with(old, new string) vendortest.Answer {
	return vendortest.JSON(200, strings.Replace(whole, old, new, 1))
}

// introspectAnswers are answers of Affix, and the verdict of Introspect about them.
var introspectAnswers = []struct {
	name string
	vendortest.Answer
	want string
}{
	{"whole", vendortest.JSON(200, whole), "token"},
	{"charset", vendortest.Typed(200, "application/json; charset=utf-8", whole), "token"},
	{"no content type", vendortest.Typed(200, "", whole), "token"},
	{"no scopes at all", with(`"`+payruns+`","identity"`, ``), "token"},
	{"provider with a space", with("parolla.ie", "iris cascade"), "token"},
	{"mode not in the list", with("xhr", "developer"), "token"},

	{"empty object", vendortest.JSON(200, `{}`), "fault"},
	{"empty", vendortest.JSON(200, ``), "fault"},
	{"null", vendortest.JSON(200, `null`), "fault"},
	{"array", vendortest.JSON(200, `[`+whole+`]`), "fault"},
	{"page", vendortest.Page(200, "<html>OK</html>"), "fault"},
	{"page with the content type JSON", vendortest.JSON(200, "<html>OK</html>"), "fault"},
	{"JSON with the content type of a page", vendortest.Page(200, whole), "fault"},
	{"malformed content type", vendortest.Typed(200, "application/json;=", whole), "fault"},
	{"truncated", vendortest.JSON(200, whole[:len(whole)-1]), "fault"},
	{"too large", vendortest.JSON(200, `{"x":"`+strings.Repeat("x", 300<<10)+`",`+whole[1:]), "fault"},
	{"repeated member", vendortest.JSON(200, `{"client_id":"x",`+whole[1:]), "fault"},
	{"repeated member inside", with(`"extra":1`, `"extra":{"a":1,"a":2}`), "fault"},
	{"other case", with("client_id", "Client_ID"), "fault"},
	{"not UTF-8", with("parolla.ie", "\xff"), "fault"},

	{"no client", with(`"client_id":"`+ours+`",`, ``), "fault"},
	{"no mode", with(`"mode":"xhr",`, ``), "fault"},
	{"no provider", with(`"provider":"parolla.ie",`, ``), "fault"},
	{"no scopes", with(`,"scopes":["`+payruns+`","identity"]`, ``), "fault"},
	{"other members null", with(`{`, `{"exp":null,"sub":null,"cnf":null,`), "token"},
	{"client null", with(`"`+ours+`"`, `null`), "fault"},
	{"client empty", with(ours, ``), "fault"},
	{"client array", with(`"`+ours+`"`, `["`+ours+`"]`), "fault"},
	{"mode number", with(`"xhr"`, `1`), "fault"},
	{"mode empty", with(`"xhr"`, `""`), "fault"},
	{"mode with a slash", with(`"xhr"`, `"x/y"`), "fault"},
	{"provider null", with(`"parolla.ie"`, `null`), "fault"},
	{"provider empty", with(`parolla.ie`, ``), "fault"},
	{"scopes string", with(`["`+payruns+`","identity"]`, `"identity"`), "fault"},
	{"scopes null", with(`["`+payruns+`","identity"]`, `null`), "fault"},
	{"scopes object", with(`["`+payruns+`","identity"]`, `{}`), "fault"},
	{"scopes with a number", with(`"identity"]`, `1]`), "fault"},
	{"a claim of the wrong type", with(`"extra":1`, `"exp":"x"`), "fault"},

	{"another client", with(ours, "canary-client"), "refusal"},
	{"almost ours", with(ours, ours+" "), "refusal"},
	{"expired, if Affix ever sends exp", with(`"extra":1`, `"exp":1`), "refusal"},
	{"401", vendortest.JSON(401, `{"message":"Unauthorized"}`), "refusal"},
	{"401 empty", vendortest.Empty(401), "fault"},
	{"403 with a whole answer", vendortest.JSON(403, whole), "fault"},
	{"403 empty", vendortest.Empty(403), "fault"},
	{"404", vendortest.JSON(404, `{"message":"x","id":"y"}`), "refusal"},
	{"401 page", vendortest.Page(401, "<html>"), "fault"},
	{"403 page", vendortest.Page(403, "\n<!DOCTYPE html>"), "fault"},
	{"404 page", vendortest.Page(404, "<html>"), "fault"},
	{"201", vendortest.JSON(201, whole), "fault"},
	{"204", vendortest.Empty(204), "fault"},
	{"400", vendortest.JSON(400, `{"message":"x"}`), "fault"},
	{"406", vendortest.Empty(406), "fault"},
	{"410", vendortest.Empty(410), "fault"},
	{"429", vendortest.Empty(429), "fault"},
	{"500", vendortest.JSON(500, whole), "fault"},
}

func TestIntrospectAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range introspectAnswers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, vendortest.Serve(t, tt.Answer))
			got, err := c.Introspect(t.Context(), token)
			assert.Equal(t, tt.want, vendortest.Verdict(got, err), err)
			vendortest.AssertSilent(t, err)
			if tt.want == "fault" && tt.name != "a claim of the wrong type" {
				_, err = c.IntrospectRaw(t.Context(), token)
				var e *providers.OperationError
				require.ErrorAs(t, err, &e)
				assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
			}
		})
	}
}

func TestIntrospectedToken(t *testing.T) {
	t.Parallel()
	body := strings.Replace(whole, `"identity"`, `"identity","two words","","qu\"ote","é","a\\b","tab\t"`, 1)
	v := vendortest.Serve(t, vendortest.JSON(200, `{"iss":"https://evil.example","sub":"evil","scope":"evil",`+body[1:]))
	got, err := client(t, v, func(cfg *affix.Config) { cfg.BaseURL += "/" }).Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, v.URL, got.Issuer)
	assert.Equal(t, "xhr/parolla.ie", got.Subject)
	assert.Equal(t, ours, got.ClientID)
	assert.Equal(t, oauthz.Scopes{payruns, "identity"}, got.Scopes, "scopes that a route cannot require are left out")
	assert.Empty(t, got.Tenant)
	assert.True(t, got.ExpiresAt.IsZero())
	require.NoError(t, oauthz.Require(payruns).Check(got, epoch))
	require.Error(t, oauthz.Require("/2023-03-01/xhr/payruns/17").Check(got, epoch), "a template is not a pattern")

	provider, ok := got.Claim("provider")
	assert.True(t, ok)
	assert.JSONEq(t, `"parolla.ie"`, string(provider))
	hash, ok := got.Claim(oauthz.MatchTokenHash)
	assert.True(t, ok)
	assert.JSONEq(t, `"`+oauthz.TokenHash(token)+`"`, string(hash))
}

func TestIntrospectRaw(t *testing.T) {
	t.Parallel()
	theirs := strings.Replace(whole, ours, "theirs", 1)
	got, err := client(t, vendortest.Serve(t, vendortest.JSON(200, strings.Replace(theirs, "identity", "two words", 1)))).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, &affix.Inspection{ClientID: "theirs", Mode: "xhr", Provider: "parolla.ie", Scopes: []string{payruns, "two words"}}, got)
}

func TestClients(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	open, err := client(t, v, func(cfg *affix.Config) { cfg.ClientIDs, cfg.InsecureAnyClient = nil, true }).Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, ours, open.ClientID)

	mine := []string{ours}
	c := client(t, v, func(cfg *affix.Config) { cfg.ClientIDs = mine })
	mine[0] = "changed later"
	_, err = c.Introspect(t.Context(), token)
	require.NoError(t, err)

	got, err := client(t, v, func(cfg *affix.Config) { cfg.ClientIDs = []string{"canary"} }).Introspect(t.Context(), token)
	assert.Equal(t, "refusal", vendortest.Verdict(got, err))
	vendortest.AssertSilent(t, err)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value string
		want        time.Duration
	}{
		{"seconds", "30", 30 * time.Second},
		{"date", epoch.Add(40 * time.Second).Format(http.TimeFormat), 40 * time.Second},
		{"none", "", 0},
		{"nonsense", "soon", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := vendortest.JSON(429, `{"message":"slow down"}`)
			if tt.value != "" {
				a = a.With("Retry-After", tt.value)
			}
			c := client(t, vendortest.Serve(t, a))
			_, err := c.Introspect(t.Context(), token)
			var fault *oauthz.Error
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, tt.want, fault.RetryAfter)
			_, err = c.IntrospectRaw(t.Context(), token)
			assert.Equal(t, tt.want, operationError(t, err, 429).RetryAfter)
		})
	}
	past := vendortest.Empty(429).With("Retry-After", epoch.Add(-time.Hour).Format(http.TimeFormat))
	_, err := client(t, vendortest.Serve(t, past)).IntrospectRaw(t.Context(), token)
	assert.Zero(t, operationError(t, err, 429).RetryAfter)
}

func TestUnrecognizedTokensAreNotSent(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	c := client(t, v)
	for _, bad := range []string{
		"canary token", "canary\ntoken", "canary\r\nX-Admin: 1", "canary\x00", "canary\x7f", "canäry", strings.Repeat("canary", 4<<10),
	} {
		_, err := c.Introspect(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		_, err = c.IntrospectRaw(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		vendortest.AssertSilent(t, err)
	}
	_, err := c.Introspect(t.Context(), "")
	assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
	_, err = c.IntrospectRaw(t.Context(), "")
	assert.ErrorIs(t, err, providers.ErrNoCredential)
	operationError(t, err, 0)
	assert.Empty(t, v.Requests())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := vendortest.Serve(t, vendortest.JSON(200, whole))
		v := vendortest.Serve(t, vendortest.Empty(status).With("Location", elsewhere.URL+"/canary"))
		following := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		c := client(t, v, func(cfg *affix.Config) { cfg.HTTPClient = following })
		got, err := c.Introspect(t.Context(), token)
		assert.Equal(t, "fault", vendortest.Verdict(got, err))
		_, err = c.IntrospectRaw(t.Context(), token)
		operationError(t, err, status)
		assert.Empty(t, elsewhere.Requests())
	}
}

// Nothing of the caller's own request reaches Affix, except the token.
func TestNothingElseIsSent(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	guard, err := oauthz.New(oauthz.Config{Introspector: client(t, v)})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("canary"))
	r.Header.Set("Authorization", "bearer   "+token)
	r.Header.Set("Cookie", "session=canary")
	_, err = guard.Authorize(r, oauthz.Require(payruns))
	require.NoError(t, err)
	sent := v.Requests()
	require.Len(t, sent, 1)
	sent[0].Header.Del("User-Agent")
	sent[0].Header.Del("Accept-Encoding")
	assert.Equal(t, http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + token}}, sent[0].Header)
	assert.Empty(t, sent[0].Body)
}

func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	echo := `{"message":"` + token + `","` + token + `":"canary","client_id":"canary","mode":"canary"}`
	for _, status := range []int{200, 204, 301, 400, 401, 403, 404, 406, 429, 500} {
		a := vendortest.JSON(status, echo).With("Retry-After", "canary").With("Location", "/canary")
		if status == 204 {
			a.Body = ""
		}
		c := client(t, vendortest.Serve(t, a))
		_, err := c.Introspect(t.Context(), token)
		require.Error(t, err)
		vendortest.AssertSilent(t, err)
		_, err = c.IntrospectRaw(t.Context(), token)
		require.Error(t, err)
		vendortest.AssertSilent(t, err)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	c := client(t, v)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.IntrospectRaw(ctx, token)
	operationError(t, err, 0)
	assert.ErrorIs(t, err, context.Canceled)
	v.Close()
	got, err := c.Introspect(t.Context(), token)
	assert.Equal(t, "fault", vendortest.Verdict(got, err))
	_, err = c.IntrospectRaw(t.Context(), token)
	assert.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.NotContains(t, err.Error(), "127.0.0.1")
	vendortest.AssertSilent(t, err)
}
