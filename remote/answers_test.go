package remote_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// in is one case of hostile answers.
type in struct {
	id     string
	answer http.HandlerFunc
	want   answer
	scope  string                 // that the route requires
	change func(r *remote.Config) // of the configuration
}

func unix(d time.Duration) int64 { return noon.Add(d).Unix() }

func answersOfActive() []in {
	return []in{
		{id: "active", answer: active(``), want: ok},
		{id: "IN-01 active a string", answer: says(200, `{"active":"true"}`), want: fault},
		{id: "IN-02 active a number", answer: says(200, `{"active":1}`), want: fault},
		{id: "IN-02 active the string false", answer: says(200, `{"active":"false"}`), want: fault},
		{id: "IN-02 active null", answer: says(200, `{"active":null}`), want: fault},
		{id: "IN-02 active an array", answer: says(200, `{"active":[true]}`), want: fault},
		{id: "IN-03 active missing", answer: says(200, `{"sub":"u","aud":"https://api.example"}`), want: fault},
		{id: "IN-04 Active", answer: says(200, `{"Active":true,"aud":"https://api.example"}`), want: fault},
		{id: "IN-04 ACTIVE beside false", answer: says(200, `{"ACTIVE":true,"active":false}`), want: invalid},
		{id: "IN-05 active twice", answer: says(200, `{"active":false,"active":true}`), want: fault},
		{id: "IN-06 expired", answer: active(fmt.Sprintf(`,"exp":%d`, unix(-time.Hour))), want: expired},
		{id: "IN-06 expired within the leeway", answer: active(fmt.Sprintf(`,"exp":%d`, unix(-59*time.Second))), want: ok},
		{id: "IN-07 exp a fraction", answer: active(fmt.Sprintf(`,"exp":%d.5`, unix(time.Hour))), want: ok},
		{id: "IN-07 exp out of range", answer: active(`,"exp":1e30`), want: fault},
		{id: "IN-07 exp a string", answer: active(`,"exp":"4102444800"`), want: fault},
		{id: "IN-07 exp negative", answer: active(`,"exp":-1`), want: expired},
		{id: "IN-08 not yet", answer: active(fmt.Sprintf(`,"nbf":%d`, unix(time.Hour))), want: invalid},
		{id: "IN-09 no exp", answer: active(`,"sub":"u"`), want: ok},
		{id: "IN-30 inactive with members", answer: says(200, `{"active":false,"sub":"u","scope":"read","aud":"https://api.example","exp":"x"}`), want: invalid},
		{id: "IN-31 nested too deep", answer: active(`,"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), want: fault},
		{id: "IN-31 member twice", answer: active(`,"sub":"a","sub":"b"`), want: fault},
		{id: "IN-31 invalid UTF-8", answer: active(",\"sub\":\"\xff\""), want: fault},
		{id: "IN-32 issued in the future", answer: active(fmt.Sprintf(`,"iat":%d`, unix(oauthz.MaxLeeway))), want: ok},
		{id: "IN-32 beyond every IssuedUntil", answer: active(fmt.Sprintf(`,"iat":%d`, unix(oauthz.MaxLeeway+time.Second))), want: invalid},
	}
}

func answersOfPolicy() []in {
	issuer := func(c *remote.Config) { c.Issuer = "https://issuer.example" }
	anyone := func(c *remote.Config) { c.Audience, c.InsecureAnyAudience = nil, true }
	return []in{
		{id: "IN-19 other audience", answer: says(200, `{"active":true,"aud":"https://other.example"}`), want: invalid},
		{id: "IN-19 audience in an array", answer: says(200, `{"active":true,"aud":["x","https://api.example"]}`), want: ok},
		{id: "IN-19 audience empty", answer: says(200, `{"active":true,"aud":[]}`), want: invalid},
		{id: "IN-19 audience absent", answer: says(200, `{"active":true}`), want: invalid},
		{id: "IN-19 audience a number", answer: says(200, `{"active":true,"aud":1}`), want: fault},
		{id: "IN-19 any audience, absent", answer: says(200, `{"active":true}`), want: ok, change: anyone},
		{id: "nulls are absent", answer: active(`,"sub":null,"exp":null,"iat":null,"nbf":null,"jti":null,"iss":null,"client_id":null,"username":null,"sid":null,"cnf":null,"scope":null,"token_type":null,"x":null`), want: ok, change: issuer},
		{id: "aud null", answer: says(200, `{"active":true,"aud":null}`), want: invalid},
		{id: "any audience, null", answer: says(200, `{"active":true,"aud":null}`), want: ok, change: anyone},
		{id: "IN-20 other issuer", answer: active(`,"iss":"https://other.example"`), want: invalid, change: issuer},
		{id: "IN-20 issuer with a slash", answer: active(`,"iss":"https://issuer.example/"`), want: invalid, change: issuer},
		{id: "IN-20 issuer", answer: active(`,"iss":"https://issuer.example"`), want: ok, change: issuer},
		{id: "IN-20 issuer absent", answer: active(``), want: ok, change: issuer},
		{id: "IN-22 token_type refresh_token", answer: active(`,"token_type":"refresh_token"`), want: invalid},
		{id: "IN-22 token_use refresh", answer: active(`,"token_use":"refresh"`), want: invalid},
		{id: "IN-22 typ Refresh", answer: active(`,"typ":"Refresh"`), want: invalid},
		{id: "IN-22 token_type Bearer", answer: active(`,"token_type":"Bearer"`), want: ok},
		{id: "IN-23 scope", answer: active(`,"scope":"read write"`), scope: "read", want: ok},
		{id: "IN-23 scope with tabs", answer: active(`,"scope":"read\twrite"`), scope: "read", want: noScopes},
		{id: "IN-23 scope absent", answer: active(``), scope: "read", want: noScopes},
		{id: "IN-23 scope an array", answer: active(`,"scope":["read"]`), scope: "read", want: fault},
		{id: "IN-23 scope a number", answer: active(`,"scope":1`), scope: "read", want: fault},
		{id: "IN-24 bound to a key", answer: active(`,"token_type":"Bearer","cnf":{"x5t#S256":"AA"}`), want: invalid},
	}
}

func answersThatAreNone() []in {
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"active":true,"aud":"https://api.example","x":"`+strings.Repeat("x", 1<<20)+`"}`)
		_ = z.Close()
	}
	hijacked := func(raw string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, raw)
				_ = conn.Close()
			}
		}
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	return []in{
		{id: "IN-10 HTML", answer: says(200, `<html>`, "Content-Type", "text/html"), want: fault},
		{id: "IN-10 empty", answer: says(200, ``), want: fault},
		{id: "IN-10 array", answer: says(200, `[{"active":true}]`), want: fault},
		{id: "IN-10 cut off", answer: says(200, `{"active":true`), want: fault},
		{id: "IN-11 JSON as HTML", answer: says(200, `{"active":true,"aud":"https://api.example"}`, "Content-Type", "text/html"), want: fault},
		{id: "IN-11 charset", answer: says(200, `{"active":true,"aud":"https://api.example"}`, "Content-Type", "application/json;charset=UTF-8"), want: ok},
		{id: "IN-12 401", answer: says(401, `{"error":"invalid_client"}`), want: fault},
		{id: "IN-12 403", answer: says(403, `{"active":false}`), want: fault},
		{id: "IN-12 400", answer: says(400, `{"error":"invalid_request"}`), want: fault},
		{id: "400 unsupported_token_type", answer: says(400, `{"error":"unsupported_token_type"}`), want: invalid},
		{id: "404", answer: says(404, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{id: "IN-14 seconds", answer: says(429, ``, "Retry-After", "30"), want: answer{status: 503, retryAfter: "30"}},
		{id: "IN-14 date", answer: says(429, ``, "Retry-After", noon.Add(time.Minute).Format(http.TimeFormat)), want: answer{status: 503, retryAfter: "60"}},
		{id: "IN-14 too long", answer: says(429, ``, "Retry-After", "999999"), want: answer{status: 503, retryAfter: "300"}},
		{id: "IN-14 zero", answer: says(429, ``, "Retry-After", "0"), want: answer{status: 503, retryAfter: "1"}},
		{id: "IN-14 past", answer: says(429, ``, "Retry-After", noon.Add(-time.Hour).Format(http.TimeFormat)), want: answer{status: 503, retryAfter: "1"}},
		{id: "IN-14 nonsense", answer: says(429, ``, "Retry-After", "soon"), want: fault},
		{id: "IN-14 none", answer: says(429, ``), want: fault},
		{id: "IN-15 500", answer: says(500, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{id: "IN-15 502", answer: says(502, ``), want: fault},
		{id: "IN-15 503", answer: says(503, ``, "Retry-After", "7"), want: answer{status: 503, retryAfter: "7"}},
		{id: "IN-15 504", answer: says(504, ``), want: fault},
		{id: "IN-16 201", answer: says(201, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{id: "IN-16 204", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, want: fault},
		{id: "IN-16 206", answer: says(206, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{id: "IN-17 too large", answer: active(`,"x":"` + strings.Repeat("x", 1<<20) + `"`), want: fault},
		{id: "IN-17 gzip bomb", answer: bomb, want: fault},
		{id: "IN-18 reset", answer: hijacked(""), want: fault},
		{id: "IN-18 Content-Length", answer: hijacked(head + "Content-Length: 1000\r\n\r\n" + `{"active":true}`), want: fault},
		{id: "IN-18 chunked without an end", answer: hijacked(head + "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a"), want: fault},
		{id: "IN-33 103 first", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			active(``)(w, r)
		}, want: ok},
	}
}

// TestAnswers: IN-01 to IN-34 of the hostile inputs, as far as one answer can
// show them; the others have tests of their own.
func TestAnswers(t *testing.T) {
	t.Parallel()
	var cases []in
	cases = append(cases, answersOfActive()...)
	cases = append(cases, answersOfPolicy()...)
	cases = append(cases, answersThatAreNone()...)
	for _, tt := range cases {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, tt.answer)
			var changes []func(*remote.Config)
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			var scopes []string
			if tt.scope != "" {
				scopes = append(scopes, tt.scope)
			}
			assert.Equal(t, tt.want, ask(t, e.introspector(t, changes...), "opaque", scopes...))
		})
	}
}

// An API whose server never names an audience learns which field decides on that;
// no byte of the answer is in the text.
func TestRefusalWithoutAnAudience(t *testing.T) {
	t.Parallel()
	for aud, want := range map[string]string{
		``:                      "the answer names no audience: InsecureAnyAudience?",
		`,"aud":[]`:             "the answer names no audience: InsecureAnyAudience?",
		`,"aud":null`:           "the answer names no audience: InsecureAnyAudience?",
		`,"aud":"canary"`:       "aud does not name this API",
		`,"aud":["x","canary"]`: "aud does not name this API",
		`,"aud":""`:             "aud does not name this API",
	} {
		e := newEndpoint(t, says(200, `{"active":true`+aud+`}`))
		_, err := e.introspector(t).Introspect(t.Context(), "opaque")
		require.ErrorIs(t, err, oauthz.ErrInvalidToken)
		assert.Equal(t, "oauthz: invalid token: "+want, err.Error(), aud)
	}
}
