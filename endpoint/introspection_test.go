package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

func unixAt(offset time.Duration) int64 { return noon.Add(offset).Unix() }

func expiring(offset time.Duration) string {
	return fmt.Sprintf(`{"sub":"alice","exp":%d}`, unixAt(offset))
}

var introspectionTests = []struct {
	name   string
	claims string
	want   answer
}{
	{"no claims", `{}`, activeAnswer(`{"active":true,"token_type":"Bearer"}`)},
	{
		"all standard claims",
		`{"iss":"https://as.example","sub":"alice","aud":["a","b"],"exp":1800000000,"nbf":1,"iat":2,"jti":"id","client_id":"c","sid":"s","username":"Alice","scope":"read write","acr":"gold","auth_time":3}`,
		activeAnswer(`{"acr":"gold","active":true,"aud":["a","b"],"auth_time":3,"client_id":"c","exp":1800000000,"iat":2,"iss":"https://as.example","jti":"id","nbf":1,"scope":"read write","sid":"s","sub":"alice","token_type":"Bearer","username":"Alice"}`),
	},
	{
		"other claims unchanged", `{"n":1e2,"big":12345678901234567890,"deep":{"a":[null,true]},"html":"<&>"}`,
		activeAnswer(`{"active":true,"big":12345678901234567890,"deep":{"a":[null,true]},"html":"\u003c\u0026\u003e","n":1e2,"token_type":"Bearer"}`),
	},
	{
		"claims with names of other members are left out", `{"active":"no","token_type":"N_A","sub":"alice"}`,
		activeAnswer(`{"active":true,"sub":"alice","token_type":"Bearer"}`),
	},
	{
		"reserved names", `{"token_sha256":"x","token_tenant":"y"}`,
		activeAnswer(`{"active":true,"token_type":"Bearer"}`),
	},
	{"scp", `{"scp":["read"]}`, activeAnswer(`{"active":true,"scope":"read","scp":["read"],"token_type":"Bearer"}`)},
	{"bound to a key", `{"cnf":{"jkt":"k"}}`, activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"token_type":"DPoP"}`)},
	{"bound to a certificate", `{"cnf":{"x5t#S256":"c"}}`, activeAnswer(`{"active":true,"cnf":{"x5t#S256":"c"},"token_type":"Bearer"}`)},
	{"bound in an unknown way", `{"cnf":{"kid":"k"}}`, activeAnswer(`{"active":true,"cnf":{"kid":"k"},"token_type":"Bearer"}`)},
	{"empty cnf", `{"cnf":{}}`, activeAnswer(`{"active":true,"cnf":{},"token_type":"Bearer"}`)},
	{"not expired", expiring(time.Second), activeAnswer(fmt.Sprintf(`{"active":true,"exp":%d,"sub":"alice","token_type":"Bearer"}`, unixAt(time.Second)))},
	{"expires now", expiring(0), inactive},
	{"expired", expiring(-time.Hour), inactive},
	{"nbf beyond any leeway", fmt.Sprintf(`{"nbf":%d}`, unixAt(oauthz.MaxLeeway+time.Second)), inactive},
	{"nbf within the largest leeway", fmt.Sprintf(`{"nbf":%d}`, unixAt(oauthz.MaxLeeway)), activeAnswer(fmt.Sprintf(`{"active":true,"nbf":%d,"token_type":"Bearer"}`, unixAt(oauthz.MaxLeeway)))},
	{"iat beyond any leeway", fmt.Sprintf(`{"iat":%d}`, unixAt(oauthz.MaxLeeway+time.Second)), inactive},
	{"iat within the largest leeway", fmt.Sprintf(`{"iat":%d}`, unixAt(oauthz.MaxLeeway)), activeAnswer(fmt.Sprintf(`{"active":true,"iat":%d,"token_type":"Bearer"}`, unixAt(oauthz.MaxLeeway)))},
	{"refresh token by token_type", `{"token_type":"refresh_token"}`, inactive},
	{"refresh token by token_use", `{"token_use":"Refresh"}`, inactive},
	{"refresh token by typ", `{"typ":"Refresh"}`, inactive},
}

// The answer for each set of claims (RFC 7662 §2.2).
func TestIntrospectionAnswersWithTheClaims(t *testing.T) {
	t.Parallel()
	for _, tt := range introspectionTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: claims(t, tt.claims)})
			assert.Equal(t, tt.want, serve(t, h, postToken()))
		})
	}
}

// The answer has the fields of the token, even if they differ from its claims.
func TestIntrospectionAnswersWithTheFields(t *testing.T) {
	t.Parallel()
	token := parseToken(t, `{"iss":"came","sub":"alice"}`)
	token.Issuer, token.Subject, token.Tenant, token.Scopes = "https://as.example", "", "acme", oauthz.Scopes{"a", "b"}
	h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(token, nil)})
	assert.Equal(t, activeAnswer(`{"active":true,"iss":"https://as.example","scope":"a b","token_type":"Bearer"}`), serve(t, h, postToken()))
}

// The leeway of an introspector has the same effect as in a Guard: up to MaxLeeway, and only for exp.
func TestIntrospectionGrantsTheLeewayOfAGuard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		expired, granted time.Duration
		active           bool
	}{
		{"within the leeway", 59 * time.Second, time.Minute, true},
		{"at the end of the leeway", time.Minute, time.Minute, false},
		{"no more than MaxLeeway", oauthz.MaxLeeway, time.Hour, false},
		{"less than MaxLeeway", oauthz.MaxLeeway - time.Second, time.Hour, true},
		{"validity that ends before exp", -time.Minute, -2 * time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := parseToken(t, fmt.Sprintf(`{"exp":%d}`, unixAt(-tt.expired)))
			token.SetVerdict(oauthz.Verdict{Until: token.ExpiresAt.Add(tt.granted)})
			h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(token, nil)})
			guard, err := oauthz.New(oauthz.Config{Introspector: answers(token, nil), Now: atNoon})
			require.NoError(t, err)
			r, _ := http.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer opaque")
			_, err = guard.Authorize(r, oauthz.Require())
			assert.Equal(t, tt.active, err == nil, "the Guard")
			assert.Equal(t, tt.active, serve(t, h, postToken()) != inactive)
		})
	}
}

// retryableError returns an error with this status and RetryAfter d.
func retryableError(status int, d time.Duration) error {
	return &oauthz.Error{Status: status, RetryAfter: d, Err: errors.New("canary")}
}

func retryIn(seconds string) answer {
	return answer{503, isJSON + "\nRetry-After: " + seconds, `{"error":"temporarily_unavailable"}`}
}

// introspectorAnswerTests are the possible answers of an introspector, and the
// answer that a client gets. The answer to a refusal differs between endpoints.
var introspectorAnswerTests = []struct {
	name  string
	token *oauthz.Token
	err   error
	want  answer // zero: the answer to a refusal
}{
	{name: "refused", err: oauthz.ErrInvalidToken},
	{name: "refused, wrapped", err: fmt.Errorf("x: %w", oauthz.ErrExpired)},
	{name: "unrecognized", err: oauthz.ErrUnrecognized},
	{name: "refused by status", err: retryableError(401, 0)},
	{name: "malformed by status", err: retryableError(400, 0)},
	{name: "fault", err: errors.New("canary"), want: unavailable},
	{name: "ErrUnavailable", err: oauthz.ErrUnavailable, want: unavailable},
	{name: "canceled", err: context.Canceled, want: unavailable},
	{name: "fault with a retry time", err: retryableError(503, 90*time.Second), want: retryIn("90")},
	{name: "fault with a retry time in fractions of a second", err: fmt.Errorf("x: %w", retryableError(503, 1500*time.Millisecond)), want: retryIn("2")},
	{name: "fault with a retry time that is too long", err: retryableError(503, 48*time.Hour), want: retryIn("3600")},
	{name: "fault that wraps a refusal", err: &oauthz.Error{Status: 503, Err: oauthz.ErrInvalidToken}, want: unavailable},
	{name: "server error", err: retryableError(500, 0), want: serverError},
	{name: "status 200", err: retryableError(200, 0), want: serverError},
	{name: "nil Error", err: (*oauthz.Error)(nil), want: serverError},
	{name: "neither token nor error", want: serverError},
}

func TestIntrospectionOfIntrospectorErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range introspectorAnswerTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want == (answer{}) {
				want = inactive
			}
			for _, lists := range [][]oauthz.RevocationList{nil, {fixedList{}}} {
				h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(tt.token, tt.err), RevocationLists: lists})
				assert.Equal(t, want, serve(t, h, postToken()))
			}
		})
	}
}

// A token that the introspector forbids is valid, but not for this API.
func TestIntrospectionOfAForbiddenTokenIsInactive(t *testing.T) {
	t.Parallel()
	assert.Equal(t, inactive, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(nil, retryableError(403, 0))}), postToken()))
}

func TestIntrospectionChecksRevocationLists(t *testing.T) {
	t.Parallel()
	sub := activeAnswer(`{"active":true,"sub":"alice","token_type":"Bearer"}`)
	for _, tt := range []struct {
		name  string
		lists []oauthz.RevocationList
		want  answer
	}{
		{"not revoked", []oauthz.RevocationList{fixedList{}, fixedList{}}, sub},
		{"revoked by the second list", []oauthz.RevocationList{fixedList{}, fixedList{revoked: true}}, inactive},
		{"list fails", []oauthz.RevocationList{fixedList{err: errors.New("canary")}}, unavailable},
		{"list fails with a refusal", []oauthz.RevocationList{fixedList{err: oauthz.ErrInvalidToken}}, unavailable},
		{"list fails with a retry time", []oauthz.RevocationList{fixedList{err: retryableError(401, 7*time.Second)}}, retryIn("7")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{RevocationLists: tt.lists}), postToken()))
		})
	}
}

type entitledHook = func(context.Context, string, *oauthz.Token, map[string]any) (bool, error)

func entitles(ok bool, err error) entitledHook {
	return func(context.Context, string, *oauthz.Token, map[string]any) (bool, error) { return ok, err }
}

func edits(edit func(map[string]any)) entitledHook {
	return func(_ context.Context, _ string, _ *oauthz.Token, members map[string]any) (bool, error) {
		edit(members)
		return true, nil
	}
}

// RFC 7662 §2.2, §4 and §5: the server decides which members a client sees.
func TestEntitledDecidesTheMembers(t *testing.T) {
	t.Parallel()
	whole := activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"scope":"read write","sub":"alice","token_type":"DPoP"}`)
	for _, tt := range []struct {
		name string
		hook entitledHook
		want answer
	}{
		{"no hook", nil, whole},
		{"entitled", entitles(true, nil), whole},
		{"not entitled", entitles(false, nil), inactive},
		{"hook fails", entitles(true, errors.New("canary")), unavailable},
		{"hook fails with a retry time", entitles(false, retryableError(503, time.Minute)), retryIn("60")},
		{"decides by client and token", func(_ context.Context, id string, t *oauthz.Token, _ map[string]any) (bool, error) {
			return id == client && t.Subject == "alice", nil
		}, whole},
		{"removes members", edits(func(m map[string]any) { delete(m, "sub"); m["scope"] = "read" }),
			activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"scope":"read","token_type":"DPoP"}`)},
		{"cannot change fixed members", edits(func(m map[string]any) { clear(m); m["active"], m["token_type"] = false, "Bearer" }),
			activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"token_type":"DPoP"}`)},
		{"not JSON", edits(func(m map[string]any) { m["x"] = func() {} }), serverError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := introspectionHandler(t, endpoint.IntrospectionConfig{
				Introspector: claims(t, `{"sub":"alice","scope":"read write","cnf":{"jkt":"k"}}`), Entitled: tt.hook,
			})
			assert.Equal(t, tt.want, serve(t, h, postToken()))
		})
	}
}

// The hook changes copies: the next answer is complete again.
func TestEntitledChangesCopies(t *testing.T) {
	t.Parallel()
	shared := parseToken(t, `{"sub":"alice","scope":"read","aud":"a"}`)
	h := introspectionHandler(t, endpoint.IntrospectionConfig{
		Introspector: answers(shared, nil),
		Entitled: func(_ context.Context, _ string, t *oauthz.Token, members map[string]any) (bool, error) {
			t.Subject, t.Scopes[0], t.Audience[0] = "eve", "admin", "b"
			members["sub"].(json.RawMessage)[1] = 'X'
			return true, nil
		},
	})
	for range 2 {
		assert.Equal(t, activeAnswer(`{"active":true,"aud":"a","scope":"read","sub":"Xlice","token_type":"Bearer"}`), serve(t, h, postToken()))
	}
	assert.Equal(t, "alice", shared.Subject)
}
