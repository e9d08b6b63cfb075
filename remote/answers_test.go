package remote_test

import (
	"compress/gzip"
	"errors"
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

// answerCase is an answer of the endpoint, and the response of the Guard.
type answerCase struct {
	name   string
	answer http.HandlerFunc
	want   answer
	scope  string                 // that the route requires
	change func(r *remote.Config) // of the configuration
}

func unix(d time.Duration) int64 { return noon.Add(d).Unix() }

func casesOfActive() []answerCase {
	return []answerCase{
		{name: "active", answer: active(``), want: ok},
		{name: "active a string", answer: respond(200, `{"active":"true"}`), want: fault},
		{name: "active a number", answer: respond(200, `{"active":1}`), want: fault},
		{name: "active the string false", answer: respond(200, `{"active":"false"}`), want: fault},
		{name: "active null", answer: respond(200, `{"active":null}`), want: fault},
		{name: "active an array", answer: respond(200, `{"active":[true]}`), want: fault},
		{name: "active missing", answer: respond(200, `{"sub":"u","aud":"https://api.example"}`), want: fault},
		{name: "Active in upper case", answer: respond(200, `{"Active":true,"aud":"https://api.example"}`), want: fault},
		{name: "ACTIVE beside false", answer: respond(200, `{"ACTIVE":true,"active":false}`), want: invalid},
		{name: "active twice", answer: respond(200, `{"active":false,"active":true}`), want: fault},
		{name: "expired", answer: active(fmt.Sprintf(`,"exp":%d`, unix(-time.Hour))), want: expired},
		{name: "expired within the leeway", answer: active(fmt.Sprintf(`,"exp":%d`, unix(-59*time.Second))), want: ok},
		{name: "exp a fraction", answer: active(fmt.Sprintf(`,"exp":%d.5`, unix(time.Hour))), want: ok},
		{name: "exp out of range", answer: active(`,"exp":1e30`), want: fault},
		{name: "exp a string", answer: active(`,"exp":"4102444800"`), want: fault},
		{name: "exp negative", answer: active(`,"exp":-1`), want: expired},
		{name: "not valid yet", answer: active(fmt.Sprintf(`,"nbf":%d`, unix(time.Hour))), want: invalid},
		{name: "no exp", answer: active(`,"sub":"u"`), want: ok},
		{name: "inactive with members", answer: respond(200, `{"active":false,"sub":"u","scope":"read","aud":"https://api.example","exp":"x"}`), want: invalid},
		{name: "nested too deep", answer: active(`,"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), want: fault},
		{name: "a member twice", answer: active(`,"sub":"a","sub":"b"`), want: fault},
		{name: "invalid UTF-8", answer: active(",\"sub\":\"\xff\""), want: fault},
		{name: "issued in the future", answer: active(fmt.Sprintf(`,"iat":%d`, unix(oauthz.MaxLeeway))), want: ok},
		{name: "issued beyond every IssuedUntil", answer: active(fmt.Sprintf(`,"iat":%d`, unix(oauthz.MaxLeeway+time.Second))), want: invalid},
	}
}

func casesOfPolicy() []answerCase {
	issuer := func(c *remote.Config) { c.Issuer = "https://issuer.example" }
	anyone := func(c *remote.Config) { c.Audience, c.InsecureAnyAudience = nil, true }
	return []answerCase{
		{name: "other audience", answer: respond(200, `{"active":true,"aud":"https://other.example"}`), want: invalid},
		{name: "audience in an array", answer: respond(200, `{"active":true,"aud":["x","https://api.example"]}`), want: ok},
		{name: "audience empty", answer: respond(200, `{"active":true,"aud":[]}`), want: invalid},
		{name: "audience absent", answer: respond(200, `{"active":true}`), want: invalid},
		{name: "audience a number", answer: respond(200, `{"active":true,"aud":1}`), want: fault},
		{name: "any audience, absent", answer: respond(200, `{"active":true}`), want: ok, change: anyone},
		{name: "nulls are absent", answer: active(`,"sub":null,"exp":null,"iat":null,"nbf":null,"jti":null,"iss":null,"client_id":null,"username":null,"sid":null,"cnf":null,"scope":null,"token_type":null,"x":null`), want: ok, change: issuer},
		{name: "aud null", answer: respond(200, `{"active":true,"aud":null}`), want: invalid},
		{name: "any audience, null", answer: respond(200, `{"active":true,"aud":null}`), want: ok, change: anyone},
		{name: "other issuer", answer: active(`,"iss":"https://other.example"`), want: invalid, change: issuer},
		{name: "issuer with a slash", answer: active(`,"iss":"https://issuer.example/"`), want: invalid, change: issuer},
		{name: "issuer", answer: active(`,"iss":"https://issuer.example"`), want: ok, change: issuer},
		{name: "issuer absent", answer: active(``), want: ok, change: issuer},
		{name: "token_type refresh_token", answer: active(`,"token_type":"refresh_token"`), want: invalid},
		{name: "token_use refresh", answer: active(`,"token_use":"refresh"`), want: invalid},
		{name: "typ Refresh", answer: active(`,"typ":"Refresh"`), want: invalid},
		{name: "token_type Bearer", answer: active(`,"token_type":"Bearer"`), want: ok},
		{name: "scope", answer: active(`,"scope":"read write"`), scope: "read", want: ok},
		{name: "scope with tabs", answer: active(`,"scope":"read\twrite"`), scope: "read", want: noScopes},
		{name: "scope absent", answer: active(``), scope: "read", want: noScopes},
		{name: "scope an array", answer: active(`,"scope":["read"]`), scope: "read", want: fault},
		{name: "scope a number", answer: active(`,"scope":1`), scope: "read", want: fault},
		{name: "bound to a key", answer: active(`,"token_type":"Bearer","cnf":{"x5t#S256":"AA"}`), want: invalid},
	}
}

func casesOfStatus() []answerCase {
	return []answerCase{
		{name: "401", answer: respond(401, `{"error":"invalid_client"}`), want: fault},
		{name: "403", answer: respond(403, `{"active":false}`), want: fault},
		{name: "400", answer: respond(400, `{"error":"invalid_request"}`), want: fault},
		{name: "400 unsupported_token_type", answer: respond(400, `{"error":"unsupported_token_type"}`), want: invalid},
		{name: "404", answer: respond(404, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{name: "429 with seconds", answer: respond(429, ``, "Retry-After", "30"), want: answer{status: 503, retryAfter: "30"}},
		{name: "429 with a date", answer: respond(429, ``, "Retry-After", noon.Add(time.Minute).Format(http.TimeFormat)), want: answer{status: 503, retryAfter: "60"}},
		{name: "429 with too many seconds", answer: respond(429, ``, "Retry-After", "999999"), want: answer{status: 503, retryAfter: "300"}},
		{name: "429 with zero", answer: respond(429, ``, "Retry-After", "0"), want: answer{status: 503, retryAfter: "1"}},
		{name: "429 with a date in the past", answer: respond(429, ``, "Retry-After", noon.Add(-time.Hour).Format(http.TimeFormat)), want: answer{status: 503, retryAfter: "1"}},
		{name: "429 with a malformed Retry-After", answer: respond(429, ``, "Retry-After", "soon"), want: fault},
		{name: "429 without Retry-After", answer: respond(429, ``), want: fault},
		{name: "500", answer: respond(500, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{name: "502", answer: respond(502, ``), want: fault},
		{name: "503", answer: respond(503, ``, "Retry-After", "7"), want: answer{status: 503, retryAfter: "7"}},
		{name: "504", answer: respond(504, ``), want: fault},
		{name: "201", answer: respond(201, `{"active":true,"aud":"https://api.example"}`), want: fault},
		{name: "204", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, want: fault},
		{name: "206", answer: respond(206, `{"active":true,"aud":"https://api.example"}`), want: fault},
	}
}

func casesOfBadAnswers() []answerCase {
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
	return []answerCase{
		{name: "HTML", answer: respond(200, `<html>`, "Content-Type", "text/html"), want: fault},
		{name: "an empty body", answer: respond(200, ``), want: fault},
		{name: "an array", answer: respond(200, `[{"active":true}]`), want: fault},
		{name: "JSON that is cut off", answer: respond(200, `{"active":true`), want: fault},
		{name: "JSON with the type of HTML", answer: respond(200, `{"active":true,"aud":"https://api.example"}`, "Content-Type", "text/html"), want: fault},
		{name: "JSON with a charset", answer: respond(200, `{"active":true,"aud":"https://api.example"}`, "Content-Type", "application/json;charset=UTF-8"), want: ok},
		{name: "a body that is too large", answer: active(`,"x":"` + strings.Repeat("x", 1<<20) + `"`), want: fault},
		{name: "a gzip bomb", answer: bomb, want: fault},
		{name: "a connection reset", answer: hijacked(""), want: fault},
		{name: "a body shorter than Content-Length", answer: hijacked(head + "Content-Length: 1000\r\n\r\n" + `{"active":true}`), want: fault},
		{name: "a chunked body without an end", answer: hijacked(head + "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a"), want: fault},
		{name: "103 first", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			active(``)(w, r)
		}, want: ok},
	}
}

// The hostile inputs that one answer can show. The others have their own tests.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	var cases []answerCase
	cases = append(cases, casesOfActive()...)
	cases = append(cases, casesOfPolicy()...)
	cases = append(cases, casesOfStatus()...)
	cases = append(cases, casesOfBadAnswers()...)
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
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

// If a server never sends an audience, the error names the field of Config that
// permits that. It holds no byte of the answer.
func TestRefusalNamesTheFieldForAMissingAudience(t *testing.T) {
	t.Parallel()
	for aud, want := range map[string]string{
		``:                      "the answer has no audience (see Config.InsecureAnyAudience)",
		`,"aud":[]`:             "the answer has no audience (see Config.InsecureAnyAudience)",
		`,"aud":null`:           "the answer has no audience (see Config.InsecureAnyAudience)",
		`,"aud":"canary"`:       "aud does not name this API",
		`,"aud":["x","canary"]`: "aud does not name this API",
		`,"aud":""`:             "aud does not name this API",
	} {
		e := newEndpoint(t, respond(200, `{"active":true`+aud+`}`))
		_, err := e.introspector(t).Introspect(t.Context(), "opaque")
		require.ErrorIs(t, err, oauthz.ErrInvalidToken)
		assert.Equal(t, "oauthz: invalid token: "+want, err.Error(), aud)
	}
}

// An error, and a printed Config, hold no byte of a token, a secret or an answer.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	const canary, secret = "c4n4ry", "s3cr3t"
	answers := map[string]http.HandlerFunc{
		"echo":        respond(200, canary+secret, "Content-Type", canary+"/"+secret),
		"nonsense":    respond(200, `{"active":"`+canary+secret+`"}`),
		"bad claims":  active(`,"exp":"` + canary + secret + `"`),
		"other names": active(`,"sub":"` + canary + `","sub":"` + secret + `"`),
		"inactive":    respond(200, `{"active":false,"sub":"`+canary+secret+`"}`),
		"error":       respond(401, `{"error":"`+canary+secret+`"}`, "WWW-Authenticate", canary+secret),
		"unsupported": respond(400, `{"error":"unsupported_token_type","error_description":"`+canary+secret+`"}`),
		"redirect":    respond(302, ``, "Location", "http://"+secret+"/"+canary),
		"limited":     respond(429, canary, "Retry-After", canary),
		"refresh":     active(`,"token_type":"refresh ` + canary + `"`),
		"audience":    respond(200, `{"active":true,"aud":"`+canary+`","iss":"`+secret+`"}`),
	}
	for name, answer := range answers {
		e := newEndpoint(t, answer)
		in := e.introspector(t, func(c *remote.Config) { c.Auth, c.Issuer = remote.Basic("api", secret), "https://issuer.example" })
		_, err := in.Introspect(t.Context(), canary)
		require.Error(t, err, name)
		text := fmt.Sprintf("%v %+v %+v %+v %#v %+v", err, err, remote.Basic("api", secret), remote.Config{Auth: remote.Post("api", secret)}, in, in)
		assert.NotContains(t, text, canary, name)
		assert.NotContains(t, text, secret, name)
	}
}

// For every body, RFC7662 returns either an active token, a refusal or a fault.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{good, `{"active":false}`, `{"active":true,"exp":1e400}`, `{"active":true,"aud":["https://api.example"],"cnf":{}}`} {
		f.Add([]byte(seed))
	}
	dialect := remote.RFC7662()
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := dialect.Answer(&http.Response{StatusCode: 200, Header: http.Header{}}, body)
		if err != nil {
			require.Nil(t, got)
			refused := errors.Is(err, oauthz.ErrInvalidToken)
			require.NotEqual(t, refused, errors.Is(err, oauthz.ErrUnavailable), "either a refusal or a fault: %v", err)
			return
		}
		active, found := got.Claim("active")
		require.True(t, found)
		require.Equal(t, "true", string(active))
	})
}

// Unusual answers that are still accepted, or just not.
func TestUnusualAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]answerCase{
		"no media type":              {answer: respond(200, good, "Content-Type", "; charset=utf-8"), want: fault},
		"refresh in a longer name":   {answer: active(`,"token_type":"urn:ietf:params:oauth:token-type:refresh_token"`), want: invalid},
		"401 with the code of a 400": {answer: respond(401, `{"error":"unsupported_token_type"}`), want: fault},
		"500 with Retry-After":       {answer: respond(500, ``, "Retry-After", "7"), want: answer{status: 503, retryAfter: "7"}},
		"iss without Config.Issuer":  {answer: active(`,"iss":"https://other.example"`), want: ok},
	} {
		assert.Equal(t, tt.want, ask(t, newEndpoint(t, tt.answer).introspector(t), "opaque"), name)
	}
	mine := []string{audience}
	in := newEndpoint(t, active(``)).introspector(t, func(c *remote.Config) { c.Audience = mine })
	mine[0] = "https://other.example"
	_, err := in.Introspect(t.Context(), strings.Repeat("a", oauthz.MaxTokenBytes))
	assert.NoError(t, err, "the longest token, and the configuration as it was given")
}

// The introspector itself, not only the Guard, refuses an iat that no
// Revocation.IssuedUntil would match.
func TestIssuedInTheFutureIsRefused(t *testing.T) {
	t.Parallel()
	for iat, want := range map[time.Duration]error{oauthz.MaxLeeway: nil, oauthz.MaxLeeway + time.Second: oauthz.ErrInvalidToken} {
		e := newEndpoint(t, active(fmt.Sprintf(`,"iat":%d`, unix(iat))))
		_, err := e.introspector(t).Introspect(t.Context(), "opaque")
		assert.ErrorIs(t, err, want, iat)
	}
}
