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
)

const (
	payruns = "/2023-03-01/xhr/payruns/:payrun_id"
	whole   = `{"client_id":"` + ours + `","mode":"xhr","provider":"parolla.ie","scopes":["` + payruns + `","identity"],"extra":1}`
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	with := func(old, new string) answer { return jsonAnswer(strings.Replace(whole, old, new, 1)) }
	for _, tt := range []struct {
		name string
		answer
		want string
	}{
		{"whole", jsonAnswer(whole), "active"},
		{"charset", answer{200, "application/json; charset=utf-8", nil, whole}, "active"},
		{"no content type", answer{200, "", nil, whole}, "active"},
		{"no scopes at all", with(`"`+payruns+`","identity"`, ``), "active"},
		{"provider with a space", with("parolla.ie", "iris cascade"), "active"},
		{"mode not in the list", with("xhr", "developer"), "active"},

		{"empty object", jsonAnswer(`{}`), "fault"},
		{"empty", jsonAnswer(``), "fault"},
		{"null", jsonAnswer(`null`), "fault"},
		{"array", jsonAnswer(`[` + whole + `]`), "fault"},
		{"page", answer{200, "text/html", nil, "<html>OK</html>"}, "fault"},
		{"page said to be JSON", jsonAnswer("<html>OK</html>"), "fault"},
		{"JSON said to be a page", answer{200, "text/html", nil, whole}, "fault"},
		{"content type that is none", answer{200, "application/json;=", nil, whole}, "fault"},
		{"truncated", jsonAnswer(whole[:len(whole)-1]), "fault"},
		{"too large", jsonAnswer(`{"x":"` + strings.Repeat("x", 300<<10) + `",` + whole[1:]), "fault"},
		{"repeated member", jsonAnswer(`{"client_id":"x",` + whole[1:]), "fault"},
		{"repeated member inside", with(`"extra":1`, `"extra":{"a":1,"a":2}`), "fault"},
		{"other case", with("client_id", "Client_ID"), "fault"},
		{"not UTF-8", with("parolla.ie", "\xff"), "fault"},

		{"no client", with(`"client_id":"`+ours+`",`, ``), "fault"},
		{"no mode", with(`"mode":"xhr",`, ``), "fault"},
		{"no provider", with(`"provider":"parolla.ie",`, ``), "fault"},
		{"no scopes", with(`,"scopes":["`+payruns+`","identity"]`, ``), "fault"},
		{"other members null", with(`{`, `{"exp":null,"sub":null,"cnf":null,`), "active"},
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

		{"another client", with(ours, "canary-client"), "inactive"},
		{"almost ours", with(ours, ours+" "), "inactive"},
		{"expired, should Affix ever say so", with(`"extra":1`, `"exp":1`), "inactive"},
		{"401", answer{401, "application/json", nil, `{"message":"Unauthorized"}`}, "inactive"},
		{"401 empty", answer{status: 401}, "fault"},
		{"403 with a whole answer", answer{403, "application/json", nil, whole}, "fault"},
		{"403 empty", answer{status: 403}, "fault"},
		{"404", answer{404, "application/json", nil, `{"message":"x","id":"y"}`}, "inactive"},
		{"401 page", answer{401, "text/html", nil, "<html>"}, "fault"},
		{"403 page", answer{403, "text/html", nil, "\n<!DOCTYPE html>"}, "fault"},
		{"404 page", answer{404, "text/html", nil, "<html>"}, "fault"},
		{"201", answer{201, "application/json", nil, whole}, "fault"},
		{"204", answer{status: 204}, "fault"},
		{"400", answer{400, "application/json", nil, `{"message":"x"}`}, "fault"},
		{"406", answer{status: 406}, "fault"},
		{"410", answer{status: 410}, "fault"},
		{"429", answer{status: 429}, "fault"},
		{"500", answer{500, "application/json", nil, whole}, "fault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, tt.answer))
			got, err := c.Introspect(t.Context(), token)
			assert.Equal(t, tt.want, verdict(err), err)
			assert.Equal(t, tt.want == "active", got != nil)
			assertSilent(t, err)
			if tt.want == "fault" && tt.name != "a claim of the wrong type" {
				_, err = c.IntrospectRaw(t.Context(), token)
				var e *providers.OperationError
				require.ErrorAs(t, err, &e)
				assert.False(t, verdict(err) == "inactive")
			}
		})
	}
}

func TestIntrospectedToken(t *testing.T) {
	t.Parallel()
	body := strings.Replace(whole, `"identity"`, `"identity","two words","","qu\"ote","é","a\\b","tab\t"`, 1)
	v := serve(t, jsonAnswer(`{"iss":"https://evil.example","sub":"evil","scope":"evil",`+body[1:]))
	got, err := client(t, v, func(cfg *affix.Config) { cfg.BaseURL += "/" }).Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, v.URL, got.Issuer)
	assert.Equal(t, "xhr/parolla.ie", got.Subject)
	assert.Equal(t, ours, got.ClientID)
	assert.Equal(t, oauthz.Scopes{payruns, "identity"}, got.Scopes, "what no route can require is left out")
	assert.Empty(t, got.Tenant)
	assert.True(t, got.ExpiresAt.IsZero())
	require.NoError(t, oauthz.Require(payruns).Check(got, epoch))
	require.Error(t, oauthz.Require("/2023-03-01/xhr/payruns/17").Check(got, epoch), "a template is no pattern")

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
	got, err := client(t, serve(t, jsonAnswer(strings.Replace(theirs, "identity", "two words", 1)))).IntrospectRaw(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, &affix.Inspection{ClientID: "theirs", Mode: "xhr", Provider: "parolla.ie", Scopes: []string{payruns, "two words"}}, got)
}

func TestClients(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	open, err := client(t, v, func(cfg *affix.Config) { cfg.ClientIDs, cfg.InsecureAnyClient = nil, true }).Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, ours, open.ClientID)

	mine := []string{ours}
	c := client(t, v, func(cfg *affix.Config) { cfg.ClientIDs = mine })
	mine[0] = "changed afterwards"
	_, err = c.Introspect(t.Context(), token)
	require.NoError(t, err)

	_, err = client(t, v, func(cfg *affix.Config) { cfg.ClientIDs = []string{"canary"} }).Introspect(t.Context(), token)
	assert.Equal(t, "inactive", verdict(err))
	assertSilent(t, err)
}

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
			var joined interface{ Unwrap() []error }
			require.ErrorAs(t, err, &joined)
			require.Len(t, joined.Unwrap(), len(tt.want))
			for i, want := range tt.want {
				assert.Contains(t, joined.Unwrap()[i].Error(), "affix: config: "+want)
			}
			assertSilent(t, err)
		})
	}
	assert.Equal(t, "https://api.affixapi.com", affix.Production)
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
			a := answer{429, "application/json", map[string]string{}, `{"message":"slow down"}`}
			if tt.value != "" {
				a.header["Retry-After"] = tt.value
			}
			c := client(t, serve(t, a))
			_, err := c.Introspect(t.Context(), token)
			var fault *oauthz.Error
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, tt.want, fault.RetryAfter)
			_, err = c.IntrospectRaw(t.Context(), token)
			assert.Equal(t, tt.want, operationError(t, err, 429).RetryAfter)
		})
	}
	past := answer{status: 429, header: map[string]string{"Retry-After": epoch.Add(-time.Hour).Format(http.TimeFormat)}}
	_, err := client(t, serve(t, past)).IntrospectRaw(t.Context(), token)
	assert.Zero(t, operationError(t, err, 429).RetryAfter)
}

func TestUnrecognizedTokensAreNotSent(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	c := client(t, v)
	for _, bad := range []string{
		"canary token", "canary\ntoken", "canary\r\nX-Admin: 1", "canary\x00", "canary\x7f", "canäry", strings.Repeat("canary", 4<<10),
	} {
		_, err := c.Introspect(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		_, err = c.IntrospectRaw(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		assertSilent(t, err)
	}
	_, err := c.Introspect(t.Context(), "")
	assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
	_, err = c.IntrospectRaw(t.Context(), "")
	assert.ErrorIs(t, err, providers.ErrNoCredential)
	operationError(t, err, 0)
	assert.Empty(t, v.questions())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := serve(t, jsonAnswer(whole))
		v := serve(t, answer{status: status, header: map[string]string{"Location": elsewhere.URL + "/canary"}})
		following := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		c := client(t, v, func(cfg *affix.Config) { cfg.HTTPClient = following })
		_, err := c.Introspect(t.Context(), token)
		assert.Equal(t, "fault", verdict(err))
		_, err = c.IntrospectRaw(t.Context(), token)
		operationError(t, err, status)
		assert.Empty(t, elsewhere.questions())
	}
}

// What a caller's own request held goes nowhere: all that Affix gets is the token.
func TestNothingElseIsSent(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	guard, err := oauthz.New(oauthz.Config{Introspector: client(t, v)})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("canary"))
	r.Header.Set("Authorization", "bearer   "+token)
	r.Header.Set("Cookie", "session=canary")
	_, err = guard.Authorize(r, oauthz.Require(payruns))
	require.NoError(t, err)
	asked := v.questions()
	require.Len(t, asked, 1)
	asked[0].header.Del("User-Agent")
	asked[0].header.Del("Accept-Encoding")
	assert.Equal(t, http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + token}}, asked[0].header)
	assert.Empty(t, asked[0].body)
}

func TestErrorsAreSilent(t *testing.T) {
	t.Parallel()
	echo := `{"message":"` + token + `","` + token + `":"canary","client_id":"canary","mode":"canary"}`
	for _, status := range []int{200, 204, 301, 400, 401, 403, 404, 406, 429, 500} {
		a := answer{status, "application/json", map[string]string{"Retry-After": "canary", "Location": "/canary"}, echo}
		if status == 204 {
			a.body = ""
		}
		c := client(t, serve(t, a))
		_, err := c.Introspect(t.Context(), token)
		require.Error(t, err)
		assertSilent(t, err)
		_, err = c.IntrospectRaw(t.Context(), token)
		require.Error(t, err)
		assertSilent(t, err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	c := client(t, v)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.IntrospectRaw(ctx, token)
	operationError(t, err, 0)
	assert.ErrorIs(t, err, context.Canceled)
	v.Close()
	_, err = c.Introspect(t.Context(), token)
	assert.Equal(t, "fault", verdict(err))
	_, err = c.IntrospectRaw(t.Context(), token)
	assert.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.NotContains(t, err.Error(), "127.0.0.1")
	assertSilent(t, err)
}
