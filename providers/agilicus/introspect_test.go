package agilicus_test

import (
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
	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

const good = `{"sub":"s1","sub_email":"u@example.com","org":"o1","root_org":"o0","roles":{"app":["owner","viewer"]},"jti":"j1",` +
	`"iat":"1767646400","exp":"1767653600","aud":["urn:api:agilicus:gateway","urn:api:agilicus:users"],"session":"x1",` +
	`"scopes":["urn:agilicus:users:owner"],"masquerading":false,"hosts":[{"upstream_host":"h","allowed_list":[{"methods":["get"]}]}]}`

// with returns good with one part changed.
func with(from, to string) string {
	if !strings.Contains(good, from) {
		panic("the answer does not contain " + from)
	}
	return strings.Replace(good, from, to, 1)
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
	{name: "good", body: good, want: "token"},
	{name: "no content type", header: http.Header{"Content-Type": nil}, body: good, want: "token"},
	{name: "least", body: `{"sub":"s1","exp":"1767653600","aud":["urn:api:agilicus:users"]}`, want: "token"},
	{name: "exp RFC 3339", body: with(`"exp":"1767653600"`, `"exp":"2026-01-05T22:53:20Z"`), want: "token"},
	{name: "exp RFC 3339 with an offset", body: with(`"exp":"1767653600"`, `"exp":"2026-01-06T00:53:20.25+02:00"`), want: "token"},
	{name: "exp with a fraction", body: with(`"exp":"1767653600"`, `"exp":"1767653600.75"`), want: "token"},
	{name: "nbf a string", body: with(`"jti"`, `"nbf":"1767646400","jti"`), want: "token"},
	{name: "other members null", body: with(`"jti"`, `"iss":null,"nbf":null,"cnf":null,"client_id":null,"x":null,"jti"`), want: "token"},
	{name: "iat, jti, org, scopes null", body: `{"sub":"s1","exp":"1767653600","aud":["urn:api:agilicus:users"],` +
		`"iat":null,"jti":null,"org":null,"scopes":null,"roles":null,"session":null,"refresh_token_jti":null}`, want: "token"},
	{name: "iat missing", body: with(`"iat":"1767646400",`, ``), want: "token"},
	{name: "unknown members", body: with(`"jti"`, `"extra":{"a":[1]},"jti"`), want: "token"},

	{name: "a refresh token", body: with(`"jti"`, `"refresh_token_jti":"abc","jti"`), want: "refusal"},
	{name: "a refresh token without its id", body: with(`"jti"`, `"refresh_token_jti":"","jti"`), want: "refusal"},
	{name: "expired", body: with(`1767653600`, `1767640000`), want: "refusal"},
	{name: "expired, RFC 3339", body: with(`"exp":"1767653600"`, `"exp":"2025-01-05T22:53:20Z"`), want: "refusal"},
	{name: "expired, a time with an offset", body: with(`"exp":"1767653600"`, `"exp":"2026-01-05T22:53:20+05:00"`), want: "refusal"},
	{name: "exp zero", body: with(`1767653600`, `0`), want: "refusal"},
	{name: "nbf to come", body: with(`"jti"`, `"nbf":"1767653000","jti"`), want: "refusal"},
	{name: "aud of others", body: with(`urn:api:agilicus:users"]`, `urn:api:other"]`), want: "refusal"},
	{name: "aud in another case", body: with(`urn:api:agilicus:users"]`, `urn:api:agilicus:USERS"]`), want: "refusal"},
	{name: "aud missing", body: with(`"aud":["urn:api:agilicus:gateway","urn:api:agilicus:users"],`, ``), want: "refusal"},
	{name: "aud empty", body: with(`["urn:api:agilicus:gateway","urn:api:agilicus:users"]`, `[]`), want: "refusal"},
	{name: "aud null", body: with(`["urn:api:agilicus:gateway","urn:api:agilicus:users"]`, `null`), want: "refusal"},
	{name: "410", status: 410, want: "refusal"},
	{name: "410 with html", status: 410, header: html, body: `<html>`, want: "refusal"},

	{name: "empty object", body: `{}`, want: "fault"},
	{name: "empty", body: ``, want: "fault"},
	{name: "null", body: `null`, want: "fault"},
	{name: "array", body: `[` + good + `]`, want: "fault"},
	{name: "two documents", body: good + good, want: "fault"},
	{name: "truncated", body: good[:100], want: "fault"},
	{name: "html", header: html, body: `<html>ok</html>`, want: "fault"},
	{name: "JSON with the content type html", header: html, body: good, want: "fault"},
	{name: "html with the content type JSON", body: `<html>ok</html>`, want: "fault"},
	{name: "an error", body: `{"error_code":"x","error_message":"y"}`, want: "fault"},
	{name: "active only", body: `{"active":true}`, want: "fault"},
	{name: "sub missing", body: with(`"sub":"s1",`, ``), want: "fault"},
	{name: "sub empty", body: with(`"sub":"s1"`, `"sub":""`), want: "fault"},
	{name: "sub null", body: with(`"sub":"s1"`, `"sub":null`), want: "fault"},
	{name: "sub a number", body: with(`"sub":"s1"`, `"sub":1`), want: "fault"},
	{name: "sub in capitals", body: with(`"sub"`, `"SUB"`), want: "fault"},
	{name: "exp missing", body: with(`"exp":"1767653600",`, ``), want: "fault"},
	{name: "exp null", body: with(`"exp":"1767653600"`, `"exp":null`), want: "fault"},
	{name: "exp empty", body: with(`"exp":"1767653600"`, `"exp":""`), want: "fault"},
	{name: "exp a number", body: with(`"exp":"1767653600"`, `"exp":1767653600`), want: "fault"},
	{name: "exp true", body: with(`"exp":"1767653600"`, `"exp":true`), want: "fault"},
	{name: "exp in words", body: with(`"exp":"1767653600"`, `"exp":"tomorrow"`), want: "fault"},
	{name: "exp with a space", body: with(`"exp":"1767653600"`, `"exp":" 1767653600"`), want: "fault"},
	{name: "exp signed", body: with(`"exp":"1767653600"`, `"exp":"+1767653600"`), want: "fault"},
	{name: "exp hexadecimal", body: with(`"exp":"1767653600"`, `"exp":"0x7fffffff"`), want: "fault"},
	{name: "exp with an exponent", body: with(`"exp":"1767653600"`, `"exp":"1e10"`), want: "fault"},
	{name: "exp infinite", body: with(`"exp":"1767653600"`, `"exp":"Inf"`), want: "fault"},
	{name: "exp in milliseconds", body: with(`"exp":"1767653600"`, `"exp":"1767653600000"`), want: "fault"},
	{name: "exp a point", body: with(`"exp":"1767653600"`, `"exp":"1767653600."`), want: "fault"},
	{name: "exp a date", body: with(`"exp":"1767653600"`, `"exp":"2026-01-05"`), want: "fault"},
	{name: "exp without a zone", body: with(`"exp":"1767653600"`, `"exp":"2026-01-05T22:53:20"`), want: "fault"},
	{name: "exp the zero time", body: with(`"exp":"1767653600"`, `"exp":"0001-01-01T00:00:00Z"`), want: "fault"},
	{name: "iat a number", body: with(`"iat":"1767646400"`, `"iat":1767646400`), want: "fault"},
	{name: "iat in words", body: with(`"iat":"1767646400"`, `"iat":"now"`), want: "fault"},
	{name: "nbf a number", body: with(`"jti"`, `"nbf":1,"jti"`), want: "fault"},
	{name: "aud an object", body: with(`["urn:api:agilicus:gateway","urn:api:agilicus:users"]`, `{}`), want: "fault"},
	{name: "aud of numbers", body: with(`"urn:api:agilicus:gateway"`, `1`), want: "fault"},
	{name: "org a number", body: with(`"org":"o1"`, `"org":1`), want: "fault"},
	{name: "session an object", body: with(`"session":"x1"`, `"session":{}`), want: "fault"},
	{name: "scopes a string", body: with(`["urn:agilicus:users:owner"]`, `"urn:agilicus:users:owner"`), want: "fault"},
	{name: "scopes of numbers", body: with(`["urn:agilicus:users:owner"]`, `[1]`), want: "fault"},
	{name: "roles an array", body: with(`{"app":["owner","viewer"]}`, `["owner"]`), want: "fault"},
	{name: "a role a string", body: with(`["owner","viewer"]`, `"owner"`), want: "fault"},
	{name: "jti a number", body: with(`"jti":"j1"`, `"jti":1`), want: "fault"},
	{name: "refresh_token_jti a number", body: with(`"jti"`, `"refresh_token_jti":1,"jti"`), want: "fault"},
	{name: "a member twice", body: with(`"org"`, `"org":"o9","org"`), want: "fault"},
	{name: "a member twice, deep", body: with(`{"app":`, `{"app":["a"],"app":`), want: "fault"},
	{name: "cnf nonsense", body: with(`"jti"`, `"cnf":1,"jti"`), want: "fault"},
	{name: "too long", body: with(`"jti"`, `"x":"`+strings.Repeat("x", 1<<20)+`","jti"`), want: "fault"},

	{name: "201", status: 201, body: good, want: "fault"},
	{name: "204", status: 204, want: "fault"},
	{name: "400", status: 400, body: good, want: "fault"},
	{name: "401", status: 401, body: good, want: "fault"},
	{name: "403", status: 403, body: good, want: "fault"},
	{name: "404", status: 404, body: good, want: "fault"},
	{name: "500", status: 500, want: "fault"},
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
			token, err := newClient(t, v).Introspect(t.Context(), jwt)
			assert.Equal(t, tt.want, vendortest.Verdict(token, err), "%v", err)
			assert.NotZero(t, v.Calls())
			if tt.status == 410 {
				assert.ErrorIs(t, err, oauthz.ErrRevoked)
			}
			if err != nil {
				assert.Nil(t, token)
			}
		})
	}
}

func TestIntrospectedToken(t *testing.T) {
	t.Parallel()
	body := with(`["urn:agilicus:users:owner"]`, `["read","write admin","","\"","a/b"],"scope":"admin","scp":["root"]`)
	v := answers(t, 200, body)
	var base string
	token, err := newClient(t, v, func(cfg *agilicus.Config) { base = cfg.BaseURL; cfg.BaseURL += "/" }).Introspect(t.Context(), jwt)
	require.NoError(t, err)
	assert.Equal(t, oauthz.Scopes{"read", "a/b"}, token.Scopes, "a scope with a space is not two scopes, and no other member is read")
	assert.Equal(t, "s1", token.Subject)
	assert.Equal(t, "o1", token.Tenant)
	assert.Equal(t, "j1", token.ID)
	assert.Equal(t, "x1", token.SessionID)
	assert.Equal(t, base, token.Issuer)
	assert.Empty(t, token.ClientID)
	assert.Equal(t, time.Unix(1767646400, 0).UTC(), token.IssuedAt)

	for name, want := range map[string]string{
		"root_org": `"o0"`, "sub_email": `"u@example.com"`, "roles": `{"app":["owner","viewer"]}`, "exp": `1767653600`,
		"hosts": `[{"upstream_host":"h","allowed_list":[{"methods":["get"]}]}]`, "masquerading": `false`, "scope": `"read a/b"`,
	} {
		got, ok := token.Claim(name)
		assert.True(t, ok, name)
		assert.JSONEq(t, want, string(got), name)
	}
	hash, ok := token.Claim(oauthz.MatchTokenHash)
	assert.True(t, ok)
	assert.JSONEq(t, `"`+oauthz.TokenHash(jwt)+`"`, string(hash))

	claims, err := oauthz.ClaimsAs[agilicus.Token](token)
	require.NoError(t, err)
	assert.Equal(t, map[string][]string{"app": {"owner", "viewer"}}, claims.Roles)
	assert.Equal(t, "o0", claims.RootOrg)
}

func TestIntrospectTimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want int64
	}{
		{"1767653600", 1767653600},
		{"1767653600.999", 1767653600},
		{"2026-01-05T22:53:20Z", 1767653600},
		{"2026-01-05T22:53:20.999Z", 1767653600},
		{"2026-01-06T00:53:20+02:00", 1767653600},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"sub":"s","exp":%q,"iat":%q,"aud":["a"]}`, tt.text, tt.text)
			got, err := newClient(t, answers(t, 200, body)).IntrospectRaw(t.Context(), jwt, nil)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.ExpiresAt.Unix())
			assert.Equal(t, tt.want, got.IssuedAt.Unix())
			assert.Equal(t, []string{"a"}, got.Audience)
		})
	}
}

func TestIntrospectSendsOnlyJWTs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, token string }{
		{"empty", ""},
		{"opaque", "canary-opaque"},
		{"two parts", "canary.b"},
		{"four parts", "canary.b.c.d"},
		{"five parts", "canary.b.c.d.e"},
		{"an empty part", "canary..c"},
		{"no signature", "canary.b."},
		{"newline", jwt + "\n"},
		{"newline inside", "canary.b\n.c"},
		{"space", " " + jwt},
		{"padding", jwt + "="},
		{"standard base64", "canary.b+/.c"},
		{"not ASCII", "canary.é.c"},
		{"too long", "canary." + strings.Repeat("a", oauthz.MaxTokenBytes) + ".c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := answers(t, 200, good)
			client := newClient(t, v)
			token, err := client.Introspect(t.Context(), tt.token)
			assert.Equal(t, "unrecognized", vendortest.Verdict(token, err))
			_, rawErr := client.IntrospectRaw(t.Context(), oauthz.Secret(tt.token), nil)
			assert.EqualError(t, rawErr, "agilicus: introspect: the token does not have the form of a JWT")
			assert.EqualError(t, client.Revoke(t.Context(), oauthz.Secret(tt.token), agilicus.RevokeOptions{}),
				"agilicus: revoke: the token does not have the form of a JWT")
			_, reissueErr := client.Reissue(t.Context(), oauthz.Secret(tt.token), "o")
			assert.EqualError(t, reissueErr, "agilicus: reissue: the token does not have the form of a JWT")
			assert.Zero(t, v.Calls(), "it was sent")
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "canary")
		})
	}
}

func TestInsecureAnyAudience(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, with(`"aud":["urn:api:agilicus:gateway","urn:api:agilicus:users"],`, ``))
	client := newClient(t, v, func(cfg *agilicus.Config) { cfg.Audience, cfg.InsecureAnyAudience = nil, true })
	_, err := client.Introspect(t.Context(), jwt)
	require.NoError(t, err)
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
			v := answers(t, tt.status, `{}`)
			if tt.retryAfter != "" {
				v.Answer.Header.Set("Retry-After", tt.retryAfter)
			}
			client := newClient(t, v)
			token, err := client.Introspect(t.Context(), jwt)
			require.Equal(t, "fault", vendortest.Verdict(token, err))
			var out *oauthz.Error
			require.ErrorAs(t, err, &out)
			assert.Equal(t, http.StatusServiceUnavailable, out.Status)
			assert.Equal(t, tt.want, out.RetryAfter)

			_, err = client.IntrospectRaw(t.Context(), jwt, nil)
			operationError(t, err, "introspect", tt.status)
			var failed *providers.OperationError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, tt.want, failed.RetryAfter)
			assert.ErrorIs(t, err, oauthz.ErrUnavailable)
		})
	}
}

// Introspection needs no authentication: neither the credentials of the caller nor ours are sent.
func TestIntrospectForwardsNothing(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, good)
	guard, err := oauthz.New(oauthz.Config{Introspector: newClient(t, v), Now: func() time.Time { return clock }})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+jwt)
	r.Header.Set("Cookie", "a=b")
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require("urn:agilicus:users:owner"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := oauthz.TokenFrom(r.Context())
		assert.True(t, ok)
		assert.Equal(t, "o1", token.Tenant)
	})).ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
	sent := v.Last()
	assert.Empty(t, sent.Header.Get("Authorization"))
	assert.Empty(t, sent.Header.Get("Cookie"))
	assert.JSONEq(t, `{"token":"`+jwt+`"}`, sent.Body)
}

// New copies the options.
func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, good)
	options := &agilicus.IntrospectOptions{
		ExcludeRoles: true, TargetOrgInfo: &agilicus.OrgInfo{TargetOrgs: []string{"o1"}, TargetDomain: "d"},
	}
	client := newClient(t, v, func(cfg *agilicus.Config) { cfg.Options = options })
	options.ExcludeRoles, options.TargetOrgInfo.TargetOrgs[0], options.TargetOrgInfo.TargetDomain = false, "o2", "e"
	_, err := client.Introspect(t.Context(), jwt)
	require.NoError(t, err)
	assert.JSONEq(t, `{"token":"`+jwt+`","introspect_options":{"exclude_roles":true,"support_http_matchers":false,"no_cache":false,`+
		`"target_org_info":{"target_orgs":["o1"],"target_domain":"d"}}}`, v.Last().Body)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	v := answers(t, 200, good)
	client := newClient(t, v, func(cfg *agilicus.Config) { cfg.Options = &agilicus.IntrospectOptions{NoCache: true} })
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := client.Introspect(t.Context(), jwt)
			assert.NoError(t, err)
			_, err = client.IntrospectRaw(t.Context(), jwt, nil)
			assert.NoError(t, err)
		})
	}
	group.Wait()
	assert.Equal(t, 32, v.Calls())
}
