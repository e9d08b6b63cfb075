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

// judged are tokens, and what is told of them (RFC 7662 §2.2).
func TestIntrospectionAnswers(t *testing.T) {
	t.Parallel()
	exp := func(offset time.Duration) string { return fmt.Sprintf(`{"sub":"alice","exp":%d}`, unixAt(offset)) }
	tests := []struct {
		name   string
		claims string
		want   answer
	}{
		{"nothing but active", `{}`, activeAnswer(`{"active":true,"token_type":"Bearer"}`)},
		{
			"all standard claims",
			`{"iss":"https://as.example","sub":"alice","aud":["a","b"],"exp":1800000000,"nbf":1,"iat":2,"jti":"id","client_id":"c","sid":"s","username":"Alice","scope":"read write","acr":"gold","auth_time":3}`,
			activeAnswer(`{"acr":"gold","active":true,"aud":["a","b"],"auth_time":3,"client_id":"c","exp":1800000000,"iat":2,"iss":"https://as.example","jti":"id","nbf":1,"scope":"read write","sid":"s","sub":"alice","token_type":"Bearer","username":"Alice"}`),
		},
		{
			"other claims as they came", `{"n":1e2,"big":12345678901234567890,"deep":{"a":[null,true]},"html":"<&>"}`,
			activeAnswer(`{"active":true,"big":12345678901234567890,"deep":{"a":[null,true]},"html":"\u003c\u0026\u003e","n":1e2,"token_type":"Bearer"}`),
		},
		{
			"what the claims say of the answer is not repeated", `{"active":"no","token_type":"N_A","sub":"alice"}`,
			activeAnswer(`{"active":true,"sub":"alice","token_type":"Bearer"}`),
		},
		{
			"names that only claims can have", `{"token_sha256":"x","token_tenant":"y"}`,
			activeAnswer(`{"active":true,"token_type":"Bearer"}`),
		},
		{"scp", `{"scp":["read"]}`, activeAnswer(`{"active":true,"scope":"read","scp":["read"],"token_type":"Bearer"}`)},
		{"IN-24 bound to a key", `{"cnf":{"jkt":"k"}}`, activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"token_type":"DPoP"}`)},
		{"IN-24 bound to a certificate", `{"cnf":{"x5t#S256":"c"}}`, activeAnswer(`{"active":true,"cnf":{"x5t#S256":"c"},"token_type":"Bearer"}`)},
		{"IN-24 bound in a way that is not known", `{"cnf":{"kid":"k"}}`, activeAnswer(`{"active":true,"cnf":{"kid":"k"},"token_type":"Bearer"}`)},
		{"IN-24 bound to nothing", `{"cnf":{}}`, activeAnswer(`{"active":true,"cnf":{},"token_type":"Bearer"}`)},
		{"not over", exp(time.Second), activeAnswer(fmt.Sprintf(`{"active":true,"exp":%d,"sub":"alice","token_type":"Bearer"}`, unixAt(time.Second)))},
		{"IN-06 over now", exp(0), inactive},
		{"IN-06 over", exp(-time.Hour), inactive},
		{"IN-08 nbf far in the future", fmt.Sprintf(`{"nbf":%d}`, unixAt(oauthz.MaxLeeway+time.Second)), inactive},
		{"IN-08 nbf within any leeway", fmt.Sprintf(`{"nbf":%d}`, unixAt(oauthz.MaxLeeway)), activeAnswer(fmt.Sprintf(`{"active":true,"nbf":%d,"token_type":"Bearer"}`, unixAt(oauthz.MaxLeeway)))},
		{"IN-32 iat far in the future", fmt.Sprintf(`{"iat":%d}`, unixAt(oauthz.MaxLeeway+time.Second)), inactive},
		{"IN-32 iat within any leeway", fmt.Sprintf(`{"iat":%d}`, unixAt(oauthz.MaxLeeway)), activeAnswer(fmt.Sprintf(`{"active":true,"iat":%d,"token_type":"Bearer"}`, unixAt(oauthz.MaxLeeway)))},
		{"IN-22 token_type", `{"token_type":"refresh_token"}`, inactive},
		{"IN-22 token_use", `{"token_use":"Refresh"}`, inactive},
		{"IN-22 typ", `{"typ":"Refresh"}`, inactive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: claims(t, tt.claims)})
			assert.Equal(t, tt.want, serve(t, h, postToken()))
		})
	}
}

// Fields that an introspector filled in are told, and not what came instead.
func TestIntrospectionTellsTheFields(t *testing.T) {
	t.Parallel()
	token := parseToken(t, `{"iss":"came","sub":"alice"}`)
	token.Issuer, token.Subject, token.Tenant, token.Scopes = "https://as.example", "", "acme", oauthz.Scopes{"a", "b"}
	h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(token, nil)})
	assert.Equal(t, activeAnswer(`{"active":true,"iss":"https://as.example","scope":"a b","token_type":"Bearer"}`), serve(t, h, postToken()))
}

// The leeway that an introspector grants holds here as it does in a Guard: up to MaxLeeway, and only for exp.
func TestIntrospectionLeeway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		over, granted time.Duration
		active        bool
	}{
		{"within the leeway", 59 * time.Second, time.Minute, true},
		{"at its end", time.Minute, time.Minute, false},
		{"no more than MaxLeeway", oauthz.MaxLeeway, time.Hour, false},
		{"less than MaxLeeway", oauthz.MaxLeeway - time.Second, time.Hour, true},
		{"a verdict that ends before exp", -time.Minute, -2 * time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := parseToken(t, fmt.Sprintf(`{"exp":%d}`, unixAt(-tt.over)))
			token.WithValidity(token.ExpiresAt.Add(tt.granted), nil)
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

// wait is a fault that says when to come back.
func retryableError(status int, d time.Duration) error {
	return &oauthz.Error{Status: status, RetryAfter: d, Err: errors.New("canary")}
}

func retryIn(seconds string) answer {
	return answer{503, isJSON + "\nRetry-After: " + seconds, `{"error":"temporarily_unavailable"}`}
}

// verdictTests are what an introspector may answer, and how a client is told: of
// a refusal by refused, which differs.
var introspectorAnswerTests = []struct {
	name  string
	token *oauthz.Token
	err   error
	want  answer // zero: refused
}{
	{name: "refused", err: oauthz.ErrInvalidToken},
	{name: "refused, wrapped", err: fmt.Errorf("x: %w", oauthz.ErrExpired)},
	{name: "unrecognized", err: oauthz.ErrUnrecognized},
	{name: "refused by status", err: retryableError(401, 0)},
	{name: "malformed by status", err: retryableError(400, 0)},
	{name: "fault", err: errors.New("canary"), want: unavailable},
	{name: "ErrUnavailable", err: oauthz.ErrUnavailable, want: unavailable},
	{name: "canceled", err: context.Canceled, want: unavailable},
	{name: "fault that names a time", err: retryableError(503, 90*time.Second), want: retryIn("90")},
	{name: "IN-14 fault that names a fraction", err: fmt.Errorf("x: %w", retryableError(503, 1500*time.Millisecond)), want: retryIn("2")},
	{name: "IN-14 fault that names too long a time", err: retryableError(503, 48*time.Hour), want: retryIn("3600")},
	{name: "fault that wraps a refusal", err: &oauthz.Error{Status: 503, Err: oauthz.ErrInvalidToken}, want: unavailable},
	{name: "server error", err: retryableError(500, 0), want: serverError},
	{name: "status that there is not", err: retryableError(200, 0), want: serverError},
	{name: "nil Error", err: (*oauthz.Error)(nil), want: serverError},
	{name: "neither", want: serverError},
}

func TestIntrospectionVerdicts(t *testing.T) {
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

// A token that the introspector forbids is good, and not for this API.
func TestIntrospectionForbidden(t *testing.T) {
	t.Parallel()
	assert.Equal(t, inactive, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(nil, retryableError(403, 0))}), postToken()))
}

func TestIntrospectionRevocations(t *testing.T) {
	t.Parallel()
	sub := activeAnswer(`{"active":true,"sub":"alice","token_type":"Bearer"}`)
	for _, tt := range []struct {
		name  string
		lists []oauthz.RevocationList
		want  answer
	}{
		{"not revoked", []oauthz.RevocationList{fixedList{}, fixedList{}}, sub},
		{"RV-01 revoked by the second", []oauthz.RevocationList{fixedList{}, fixedList{revoked: true}}, inactive},
		{"RV-08 cannot tell", []oauthz.RevocationList{fixedList{err: errors.New("canary")}}, unavailable},
		{"RV-08 cannot tell, whatever it wraps", []oauthz.RevocationList{fixedList{err: oauthz.ErrInvalidToken}}, unavailable},
		{"RV-08 cannot tell until", []oauthz.RevocationList{fixedList{err: retryableError(401, 7*time.Second)}}, retryIn("7")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{RevocationLists: tt.lists}), postToken()))
		})
	}
}

// RFC 7662 §2.2, §4 and §5: what a client may see is for the server to say.
func TestIntrospectionEntitled(t *testing.T) {
	t.Parallel()
	type entitled = func(context.Context, string, *oauthz.Token, map[string]any) (bool, error)
	says := func(ok bool, err error) entitled {
		return func(context.Context, string, *oauthz.Token, map[string]any) (bool, error) { return ok, err }
	}
	edits := func(edit func(map[string]any)) entitled {
		return func(_ context.Context, _ string, _ *oauthz.Token, members map[string]any) (bool, error) {
			edit(members)
			return true, nil
		}
	}
	whole := activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"scope":"read write","sub":"alice","token_type":"DPoP"}`)
	for _, tt := range []struct {
		name string
		hook entitled
		want answer
	}{
		{"no hook", nil, whole},
		{"entitled", says(true, nil), whole},
		{"not entitled", says(false, nil), inactive},
		{"cannot tell", says(true, errors.New("canary")), unavailable},
		{"cannot tell until", says(false, retryableError(503, time.Minute)), retryIn("60")},
		{"by the client", func(_ context.Context, id string, t *oauthz.Token, _ map[string]any) (bool, error) {
			return id == client && t.Subject == "alice", nil
		}, whole},
		{"less", edits(func(m map[string]any) { delete(m, "sub"); m["scope"] = "read" }),
			activeAnswer(`{"active":true,"cnf":{"jkt":"k"},"scope":"read","token_type":"DPoP"}`)},
		{"not what is fixed", edits(func(m map[string]any) { clear(m); m["active"], m["token_type"] = false, "Bearer" }),
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

// What the hook changes is its own: the next answer is whole again.
func TestEntitledChangesNobodysToken(t *testing.T) {
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
