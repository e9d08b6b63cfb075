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
)

const (
	company = `{"type":"Company","uuid":"c1"}`
	admin   = `{"type":"CompanyAdmin","uuid":"a1"}`
	whole   = `{"scope":"companies:read public","resource":` + company + `,"resource_owner":` + admin + `,"extra":{"plan":"x"}}`
)

func TestIntrospectAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		answer
		want string
	}{
		{"whole", jsonAnswer(whole), "active"},
		{"charset", answer{200, "application/json; charset=utf-8", nil, whole}, "active"},
		{"no content type", answer{200, "", nil, whole}, "active"},
		{"no owner", jsonAnswer(`{"scope":"","resource":` + company + `,"resource_owner":null}`), "active"},
		{"no resource", jsonAnswer(`{"scope":"","resource":null,"resource_owner":` + admin + `}`), "active"},
		{"neither", jsonAnswer(`{"scope":"public","resource":null,"resource_owner":null}`), "active"},

		{"empty object", jsonAnswer(`{}`), "fault"},
		{"empty", jsonAnswer(``), "fault"},
		{"null", jsonAnswer(`null`), "fault"},
		{"array", jsonAnswer(`[` + whole + `]`), "fault"},
		{"page", answer{200, "text/html", nil, "<html>OK</html>"}, "fault"},
		{"page said to be JSON", jsonAnswer("<html>OK</html>"), "fault"},
		{"JSON said to be a page", answer{200, "text/html", nil, whole}, "fault"},
		{"content type that is none", answer{200, "application/json;=", nil, whole}, "fault"},
		{"truncated", jsonAnswer(whole[:len(whole)-1]), "fault"},
		{"more behind it", jsonAnswer(whole + `{}`), "fault"},
		{"repeated member", jsonAnswer(`{"scope":"a","scope":"b","resource":` + company + `,"resource_owner":null}`), "fault"},
		{"repeated member inside", jsonAnswer(`{"scope":"a","resource":{"type":"Company","uuid":"c1","uuid":"c2"},"resource_owner":null}`), "fault"},
		{"not UTF-8", jsonAnswer("{\"scope\":\"\xff\",\"resource\":" + company + `,"resource_owner":null}`), "fault"},
		{"other case", jsonAnswer(`{"Scope":"a","Resource":` + company + `,"Resource_Owner":null}`), "fault"},
		{"too large", jsonAnswer(`{"x":"` + strings.Repeat("x", 300<<10) + `",` + whole[1:]), "fault"},

		{"no scope", jsonAnswer(`{"resource":` + company + `,"resource_owner":null}`), "fault"},
		{"scope null", jsonAnswer(`{"scope":null,"resource":` + company + `,"resource_owner":null}`), "fault"},
		{"scope array", jsonAnswer(`{"scope":["a"],"resource":` + company + `,"resource_owner":null}`), "fault"},
		{"no resource member", jsonAnswer(`{"scope":"a","resource_owner":` + admin + `}`), "fault"},
		{"no owner member", jsonAnswer(`{"scope":"a","resource":` + company + `}`), "fault"},
		{"resource string", jsonAnswer(`{"scope":"a","resource":"Company","resource_owner":null}`), "fault"},
		{"resource empty", jsonAnswer(`{"scope":"a","resource":{},"resource_owner":null}`), "fault"},
		{"no uuid", jsonAnswer(`{"scope":"a","resource":{"type":"Company"},"resource_owner":null}`), "fault"},
		{"no type", jsonAnswer(`{"scope":"a","resource":{"uuid":"c1"},"resource_owner":null}`), "fault"},
		{"uuid number", jsonAnswer(`{"scope":"a","resource":{"type":"Company","uuid":1},"resource_owner":null}`), "fault"},
		{"type null", jsonAnswer(`{"scope":"a","resource":{"type":null,"uuid":"c1"},"resource_owner":null}`), "fault"},
		{"uuid empty", jsonAnswer(`{"scope":"a","resource":{"type":"Company","uuid":""},"resource_owner":null}`), "fault"},
		{"type with a slash", jsonAnswer(`{"scope":"a","resource":{"type":"A/B","uuid":"c"},"resource_owner":null}`), "fault"},
		{"owner false", jsonAnswer(`{"scope":"a","resource":` + company + `,"resource_owner":false}`), "fault"},
		{"owner broken", jsonAnswer(`{"scope":"a","resource":` + company + `,"resource_owner":{"type":"Employee"}}`), "fault"},
		{"a claim of the wrong type", jsonAnswer(`{"exp":"x",` + whole[1:]), "fault"},

		{"nulls are absent", jsonAnswer(`{"exp":null,"jti":null,"cnf":null,` + whole[1:]), "active"},
		{"expired, should Gusto ever say so", jsonAnswer(`{"exp":1,` + whole[1:]), "inactive"},
		{"401", answer{status: 401}, "inactive"},
		{"401 with a whole answer", answer{401, "application/json", nil, whole}, "inactive"},
		{"201", answer{201, "application/json", nil, whole}, "fault"},
		{"204", answer{status: 204}, "fault"},
		{"400", answer{400, "application/json", nil, `{"error":"invalid_token"}`}, "fault"},
		{"403", answer{status: 403}, "fault"},
		{"404", answer{status: 404}, "fault"},
		{"406", answer{status: 406}, "fault"},
		{"410", answer{status: 410}, "fault"},
		{"500", answer{500, "application/json", nil, whole}, "fault"},
		{"503", answer{status: 503}, "fault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, tt.answer))
			got, err := c.Introspect(t.Context(), token)
			assert.Equal(t, tt.want, verdict(err), err)
			assert.Equal(t, tt.want == "active", got != nil)
			_, err = c.IntrospectRaw(t.Context(), token)
			if tt.want == "fault" && tt.name != "a claim of the wrong type" {
				var e *providers.OperationError
				require.ErrorAs(t, err, &e)
			}
		})
	}
}

// The schema allows a token of which Gusto names neither the owner nor the
// resource: it is nobody's, and of no tenant.
func TestIntrospectedTokenOfNobody(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(`{"sub":"evil","scope":"public","resource":null,"resource_owner":null}`))
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
	// iss, sub and tenant are not Gusto's to say here, and " \ are no scope characters.
	body := `{"iss":"https://evil.example","sub":"evil",` + strings.Replace(whole[1:], "public", `public b\"ad b\\ad`, 1)
	v := serve(t, jsonAnswer(body))
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
	v := serve(t, jsonAnswer(whole))
	got, err := client(t, v).Introspect(t.Context(), token)
	require.NoError(t, err)
	var list oauthz.Revocations
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
			a := answer{status: 429, header: map[string]string{}}
			if tt.value != "" {
				a.header["Retry-After"] = tt.value
			}
			c := client(t, serve(t, a))
			_, err := c.Introspect(t.Context(), token)
			var fault *oauthz.Error
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, tt.want, fault.RetryAfter)
			for _, op := range operations[1:] {
				assert.Equal(t, tt.want, operationError(t, op.call(t, c), op.name, 429).RetryAfter)
			}
		})
	}
	past := answer{status: 429, header: map[string]string{"Retry-After": epoch.Add(-time.Hour).Format(http.TimeFormat)}}
	_, err := client(t, serve(t, past)).IntrospectRaw(t.Context(), token)
	assert.Zero(t, operationError(t, err, "token_info", 429).RetryAfter)
}

func TestUnrecognizedTokensAreNotSent(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	c := client(t, v)
	for _, bad := range []string{
		"canary token", "canary\ntoken", "canary\r\nX-Admin: 1", "canary\x00", "canary\x7f", "canäry", strings.Repeat("canary", 4<<10),
		"eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.canary", // somebody else's
	} {
		_, err := c.Introspect(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		_, err = c.IntrospectRaw(t.Context(), bad)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		assertSilent(t, err)
		assert.ErrorIs(t, c.Revoke(t.Context(), bad), oauthz.ErrUnrecognized)
		_, err = c.Refresh(t.Context(), oauthz.Secret(bad))
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
		assert.ErrorIs(t, c.DisconnectAppIntegration(t.Context(), oauthz.Secret(bad), "company"), oauthz.ErrUnrecognized)
	}
	_, err := c.Introspect(t.Context(), "")
	assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
	assert.Empty(t, v.questions())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := serve(t, jsonAnswer(whole))
		v := serve(t, answer{status: status, header: map[string]string{"Location": elsewhere.URL + "/canary"}})
		following := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		c := client(t, v, func(cfg *gusto.Config) { cfg.HTTPClient = following })
		_, err := c.Introspect(t.Context(), token)
		assert.Equal(t, "fault", verdict(err))
		for _, op := range operations[1:] {
			operationError(t, op.call(t, c), op.name, status)
		}
		assert.Empty(t, elsewhere.questions())
	}
}

// What a caller's own request held goes nowhere: all that Gusto gets is the token, the version and the body.
func TestNothingElseIsSent(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
	guard, err := oauthz.New(oauthz.Config{Introspector: client(t, v)})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("canary"))
	r.Header.Set("Authorization", "bearer   "+token)
	r.Header.Set("Cookie", "session=canary")
	r.Header.Set("X-Gusto-API-Version", "1999-01-01")
	_, err = guard.Authorize(r, oauthz.Require("public"))
	require.NoError(t, err)
	asked := v.questions()
	require.Len(t, asked, 1)
	asked[0].header.Del("User-Agent")
	asked[0].header.Del("Accept-Encoding")
	assert.Equal(t, http.Header{
		"Accept": {"application/json"}, "Authorization": {"Bearer " + token}, "X-Gusto-Api-Version": {gusto.LatestVersion},
	}, asked[0].header)
}

func TestErrorsAreSilent(t *testing.T) {
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
		v := &vendor{Server: echo}
		c := client(t, v, func(cfg *gusto.Config) { cfg.BaseURL += "/" + status })
		for _, op := range operations {
			if err := op.call(t, c); err != nil {
				assertSilent(t, err)
			} else {
				assert.Contains(t, "200 revoke 204 disconnect_app_integration", status+" "+op.name)
			}
		}
		assertSilent(t, c)
		assertSilent(t, *c)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	v := serve(t, jsonAnswer(whole))
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
		assertSilent(t, err)
	}
}
