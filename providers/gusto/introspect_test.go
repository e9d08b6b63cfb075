package gusto_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/gusto"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

const (
	company = `{"type":"Company","uuid":"c1"}`
	admin   = `{"type":"CompanyAdmin","uuid":"a1"}`
	whole   = `{"scope":"companies:read public","resource":` + company + `,"resource_owner":` + admin + `,"extra":{"plan":"x"}}`
)

// introspectAnswers are answers of Gusto, and the verdict of Introspect about them.
var introspectAnswers = []struct {
	name string
	vendortest.Answer
	want string
}{
	{"whole", vendortest.JSON(200, whole), "token"},
	{"charset", vendortest.Typed(200, "application/json; charset=utf-8", whole), "token"},
	{"no content type", vendortest.Typed(200, "", whole), "token"},
	{"no owner", vendortest.JSON(200, `{"scope":"","resource":`+company+`,"resource_owner":null}`), "token"},
	{"no resource", vendortest.JSON(200, `{"scope":"","resource":null,"resource_owner":`+admin+`}`), "token"},
	{"neither", vendortest.JSON(200, `{"scope":"public","resource":null,"resource_owner":null}`), "token"},

	{"empty object", vendortest.JSON(200, `{}`), "fault"},
	{"empty", vendortest.JSON(200, ``), "fault"},
	{"null", vendortest.JSON(200, `null`), "fault"},
	{"array", vendortest.JSON(200, `[`+whole+`]`), "fault"},
	{"page", vendortest.Page(200, "<html>OK</html>"), "fault"},
	{"page with the content type JSON", vendortest.JSON(200, "<html>OK</html>"), "fault"},
	{"JSON with the content type of a page", vendortest.Page(200, whole), "fault"},
	{"malformed content type", vendortest.Typed(200, "application/json;=", whole), "fault"},
	{"truncated", vendortest.JSON(200, whole[:len(whole)-1]), "fault"},
	{"more behind it", vendortest.JSON(200, whole+`{}`), "fault"},
	{"repeated member", vendortest.JSON(200, `{"scope":"a","scope":"b","resource":`+company+`,"resource_owner":null}`), "fault"},
	{"repeated member inside", vendortest.JSON(200, `{"scope":"a","resource":{"type":"Company","uuid":"c1","uuid":"c2"},"resource_owner":null}`), "fault"},
	{"not UTF-8", vendortest.JSON(200, "{\"scope\":\"\xff\",\"resource\":"+company+`,"resource_owner":null}`), "fault"},
	{"other case", vendortest.JSON(200, `{"Scope":"a","Resource":`+company+`,"Resource_Owner":null}`), "fault"},
	{"too large", vendortest.JSON(200, `{"x":"`+strings.Repeat("x", 300<<10)+`",`+whole[1:]), "fault"},

	{"no scope", vendortest.JSON(200, `{"resource":`+company+`,"resource_owner":null}`), "fault"},
	{"scope null", vendortest.JSON(200, `{"scope":null,"resource":`+company+`,"resource_owner":null}`), "fault"},
	{"scope array", vendortest.JSON(200, `{"scope":["a"],"resource":`+company+`,"resource_owner":null}`), "fault"},
	{"no resource member", vendortest.JSON(200, `{"scope":"a","resource_owner":`+admin+`}`), "fault"},
	{"no owner member", vendortest.JSON(200, `{"scope":"a","resource":`+company+`}`), "fault"},
	{"resource string", vendortest.JSON(200, `{"scope":"a","resource":"Company","resource_owner":null}`), "fault"},
	{"resource empty", vendortest.JSON(200, `{"scope":"a","resource":{},"resource_owner":null}`), "fault"},
	{"no uuid", vendortest.JSON(200, `{"scope":"a","resource":{"type":"Company"},"resource_owner":null}`), "fault"},
	{"no type", vendortest.JSON(200, `{"scope":"a","resource":{"uuid":"c1"},"resource_owner":null}`), "fault"},
	{"uuid number", vendortest.JSON(200, `{"scope":"a","resource":{"type":"Company","uuid":1},"resource_owner":null}`), "fault"},
	{"type null", vendortest.JSON(200, `{"scope":"a","resource":{"type":null,"uuid":"c1"},"resource_owner":null}`), "fault"},
	{"uuid empty", vendortest.JSON(200, `{"scope":"a","resource":{"type":"Company","uuid":""},"resource_owner":null}`), "fault"},
	{"type with a slash", vendortest.JSON(200, `{"scope":"a","resource":{"type":"A/B","uuid":"c"},"resource_owner":null}`), "fault"},
	{"owner false", vendortest.JSON(200, `{"scope":"a","resource":`+company+`,"resource_owner":false}`), "fault"},
	{"owner broken", vendortest.JSON(200, `{"scope":"a","resource":`+company+`,"resource_owner":{"type":"Employee"}}`), "fault"},
	{"a claim of the wrong type", vendortest.JSON(200, `{"exp":"x",`+whole[1:]), "fault"},

	{"nulls are absent", vendortest.JSON(200, `{"exp":null,"jti":null,"cnf":null,`+whole[1:]), "token"},
	{"expired, if Gusto ever sends exp", vendortest.JSON(200, `{"exp":1,`+whole[1:]), "refusal"},
	{"401", vendortest.Empty(401), "refusal"},
	{"401 with a whole answer", vendortest.JSON(401, whole), "refusal"},
	{"201", vendortest.JSON(201, whole), "fault"},
	{"204", vendortest.Empty(204), "fault"},
	{"400", vendortest.JSON(400, `{"error":"invalid_token"}`), "fault"},
	{"403", vendortest.Empty(403), "fault"},
	{"404", vendortest.Empty(404), "fault"},
	{"406", vendortest.Empty(406), "fault"},
	{"410", vendortest.Empty(410), "fault"},
	{"500", vendortest.JSON(500, whole), "fault"},
	{"503", vendortest.Empty(503), "fault"},
}

func TestIntrospectAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range introspectAnswers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, vendortest.Serve(t, tt.Answer))
			got, err := c.Introspect(t.Context(), token)
			assert.Equal(t, tt.want, vendortest.Verdict(got, err), err)
			_, err = c.IntrospectRaw(t.Context(), token)
			if tt.want == "fault" && tt.name != "a claim of the wrong type" {
				var e *providers.OperationError
				require.ErrorAs(t, err, &e)
			}
		})
	}
}

// The schema allows an answer that names neither an owner nor a resource: the token
// then has no subject and no tenant.
func TestIntrospectedTokenWithoutSubject(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, `{"sub":"evil","scope":"public","resource":null,"resource_owner":null}`))
	got, err := client(t, v).Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Empty(t, got.Subject)
	assert.Empty(t, got.Tenant)
	assert.Equal(t, oauthz.Scopes{"public"}, got.Scopes)
	for _, claim := range []string{"sub", oauthz.MatchTenant} {
		_, ok := got.Claim(claim)
		assert.False(t, ok, claim)
	}
}

func TestIntrospectedToken(t *testing.T) {
	t.Parallel()
	// iss and sub in the answer are ignored, and a scope must not hold " or \.
	body := `{"iss":"https://evil.example","sub":"evil",` + strings.Replace(whole[1:], "public", `public b\"ad b\\ad`, 1)
	v := vendortest.Serve(t, vendortest.JSON(200, body))
	got, err := client(t, v, func(cfg *gusto.Config) { cfg.BaseURL += "/" }).Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, v.URL, got.Issuer)
	assert.Equal(t, "CompanyAdmin/a1", got.Subject)
	assert.Equal(t, "Company/c1", got.Tenant)
	assert.Equal(t, oauthz.Scopes{"companies:read", "public"}, got.Scopes)
	assert.Empty(t, got.ClientID)
	assert.Empty(t, got.Audience)
	assert.True(t, got.ExpiresAt.IsZero())

	claim, ok := got.Claim("resource_owner")
	assert.True(t, ok)
	assert.JSONEq(t, admin, string(claim))
	hash, ok := got.Claim(oauthz.MatchTokenHash)
	assert.True(t, ok)
	assert.JSONEq(t, `"`+oauthz.TokenHash(token)+`"`, string(hash))
	until, live := got.Validity()
	assert.Equal(t, epoch.Add(2*time.Hour), until, "no access token lives longer")
	assert.True(t, live)
}

func TestRevokedByIssuerAndSubject(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	got, err := client(t, v).Introspect(t.Context(), token)
	require.NoError(t, err)
	var list oauthz.MemoryRevocations
	require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": v.URL, "sub": "CompanyAdmin/a1"}}))
	revoked, err := list.Revoked(t.Context(), got)
	require.NoError(t, err)
	assert.True(t, revoked)
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
			a := vendortest.Empty(429)
			if tt.value != "" {
				a = a.With("Retry-After", tt.value)
			}
			c := client(t, vendortest.Serve(t, a))
			_, err := c.Introspect(t.Context(), token)
			var fault *oauthz.Error
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, tt.want, fault.RetryAfter)
			for _, op := range operations[1:] {
				assert.Equal(t, tt.want, operationError(t, op.call(t, c), op.name, 429).RetryAfter)
			}
		})
	}
	past := vendortest.Empty(429).With("Retry-After", epoch.Add(-time.Hour).Format(http.TimeFormat))
	_, err := client(t, vendortest.Serve(t, past)).IntrospectRaw(t.Context(), token)
	assert.Zero(t, operationError(t, err, "token_info", 429).RetryAfter)
}

func TestUnrecognizedTokensAreNotSent(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	c := client(t, v)
	for _, bad := range []string{
		"canary token", "canary\ntoken", "canary\r\nX-Admin: 1", "canary\x00", "canary\x7f", "canäry", strings.Repeat("canary", 4<<10),
		"eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.canary", // of another issuer
	} {
		_, err := c.Introspect(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		_, err = c.IntrospectRaw(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		vendortest.AssertSilent(t, err)
		assert.ErrorIs(t, c.Revoke(t.Context(), bad), oauthz.ErrUnrecognized)
		_, err = c.Refresh(t.Context(), oauthz.Secret(bad))
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		assert.ErrorIs(t, c.DisconnectAppIntegration(t.Context(), oauthz.Secret(bad), "company"), oauthz.ErrUnrecognized)
	}
	_, err := c.Introspect(t.Context(), "")
	assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
	assert.Empty(t, v.Requests())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := vendortest.Serve(t, vendortest.JSON(200, whole))
		v := vendortest.Serve(t, vendortest.Empty(status).With("Location", elsewhere.URL+"/canary"))
		following := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		c := client(t, v, func(cfg *gusto.Config) { cfg.HTTPClient = following })
		got, err := c.Introspect(t.Context(), token)
		assert.Equal(t, "fault", vendortest.Verdict(got, err))
		for _, op := range operations[1:] {
			operationError(t, op.call(t, c), op.name, status)
		}
		assert.Empty(t, elsewhere.Requests())
	}
}

// Nothing of the caller's own request reaches Gusto, except the token.
func TestNothingElseIsSent(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	guard, err := oauthz.New(oauthz.Config{Introspector: client(t, v)})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("canary"))
	r.Header.Set("Authorization", "bearer   "+token)
	r.Header.Set("Cookie", "session=canary")
	r.Header.Set("X-Gusto-API-Version", "1999-01-01")
	_, err = guard.Authorize(r, oauthz.Require("public"))
	require.NoError(t, err)
	sent := v.Requests()
	require.Len(t, sent, 1)
	sent[0].Header.Del("User-Agent")
	sent[0].Header.Del("Accept-Encoding")
	assert.Equal(t, http.Header{
		"Accept": {"application/json"}, "Authorization": {"Bearer " + token}, "X-Gusto-Api-Version": {gusto.LatestVersion},
	}, sent[0].Header)
}

func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := 200
		_ = json.Unmarshal([]byte(strings.TrimPrefix(r.URL.Path[:4], "/")), &status)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "canary")
		w.Header().Set("X-RateLimit-Reset", token)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"error":"` + token + refresh + secret + `","` + token + `":"canary","created_at":"canary"}`))
	}))
	t.Cleanup(echo.Close)
	for _, status := range []string{"200", "204", "400", "401", "403", "404", "406", "429", "500"} {
		v := &vendortest.Vendor{Server: echo}
		c := client(t, v, func(cfg *gusto.Config) { cfg.BaseURL += "/" + status })
		for _, op := range operations {
			if err := op.call(t, c); err != nil {
				vendortest.AssertSilent(t, err)
			} else {
				assert.Contains(t, "200 revoke 204 disconnect_app_integration", status+" "+op.name)
			}
		}
		vendortest.AssertSilent(t, c)
		vendortest.AssertSilent(t, *c)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	v := vendortest.Serve(t, vendortest.JSON(200, whole))
	c := client(t, v)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.IntrospectRaw(ctx, token)
	operationError(t, err, "token_info", 0)
	assert.ErrorIs(t, err, context.Canceled)
	v.Close()
	for _, op := range operations {
		err := op.call(t, c)
		assert.ErrorIs(t, err, oauthz.ErrUnavailable, op.name)
		assert.NotContains(t, err.Error(), "127.0.0.1")
		vendortest.AssertSilent(t, err)
	}
}
