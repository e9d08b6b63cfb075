package oauthz_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

const metadataURL = "https://api.example/.well-known/oauth-protected-resource"

// challengeTests are complete challenges, one for each outcome and one for each setting that changes a challenge.
var challengeTests = []struct {
	name     string
	realm    string
	metadata string
	req      oauthz.Requirement
	claims   string // of the token sent; "": none is sent
	err      error  // what the introspector says instead
	want     answer
}{
	{name: "no token", want: noToken},
	{name: "no token, scopes needed", req: oauthz.Require("b", "a"), want: asks("b a")},
	{name: "no token, one of several scopes needed", req: oauthz.RequireAny("b", "a"), want: asks("b")},
	{name: "no token, login needed", req: oauthz.RequireACR("gold"), want: noToken},
	{
		name: "realm with a quote and a backslash", realm: `a "b" \c`,
		want: answer{401, `Bearer realm="a \"b\" \\c"`, `{}`},
	},
	{name: "realm of a backslash", realm: `\`, want: answer{401, `Bearer realm="\\"`, `{}`}},
	{name: "realm like an injection", realm: `x", error="y`, want: answer{401, `Bearer realm="x\", error=\"y"`, `{}`}},
	{
		name: "no token, metadata (RFC 9728 §5.1)", metadata: metadataURL, req: oauthz.Require("a"),
		want: answer{401, `Bearer realm="api", scope="a", resource_metadata="` + metadataURL + `"`, `{}`},
	},
	{
		name: "bad token, metadata", metadata: metadataURL, err: oauthz.ErrInvalidToken,
		want: answer{401, badToken.challenge + `, resource_metadata="` + metadataURL + `"`, badToken.body},
	},
	{name: "fault, metadata", metadata: metadataURL, err: errors.New("down"), want: cannotTell},
	{name: "bad token", err: oauthz.ErrInvalidToken, want: badToken},
	{name: "expired", err: fmt.Errorf("jwt: %w", oauthz.ErrExpired), want: expired},
	{name: "revoked is answered like any bad token", err: oauthz.ErrRevoked, want: badToken},
	{name: "inactive is answered like any bad token", err: oauthz.ErrInactive, want: badToken},
	{name: "not recognized is answered like any bad token", err: oauthz.ErrUnrecognized, want: badToken},
	{name: "lacks a scope", req: oauthz.Require("a"), claims: `{"scope":"b"}`, want: lacksScope("a")},
	{name: "lacks a claim", req: oauthz.RequireClaim("r", "a"), claims: `{}`, want: lacksClaim},
	{name: "acr", req: oauthz.RequireACR("gold", "silver"), claims: `{}`, want: stepUp(`acr_values="gold silver"`)},
	{name: "max_age", req: oauthz.RequireMaxAge(time.Hour), claims: `{}`, want: stepUp(`max_age="3600"`)},
	{
		name: "acr and max_age", req: oauthz.All(oauthz.RequireMaxAge(time.Second), oauthz.RequireACR("gold")), claims: `{}`,
		want: stepUp(`acr_values="gold", max_age="1"`),
	},
	{name: "unavailable", err: oauthz.ErrUnavailable, want: cannotTell},
	{name: "any other error", err: errors.New("x509: expired"), want: cannotTell},
	{
		name: "an Error of the introspector", err: &oauthz.Error{Status: 401, Code: "use_dpop_nonce", Description: "Nonce needed"},
		want: answer{401, `Bearer realm="api", error="use_dpop_nonce", error_description="Nonce needed"`, `{"error":"use_dpop_nonce","error_description":"Nonce needed"}`},
	},
	{
		name: "an Error inside an error", err: fmt.Errorf("x: %w", &oauthz.Error{Status: 403, Code: "c", Scopes: []string{"s"}}),
		want: answer{403, `Bearer realm="api", error="c", scope="s"`, `{"error":"c"}`},
	},
	{
		name: "an Error without a code is one without an error attribute", err: &oauthz.Error{Status: 401, Description: "d"},
		want: noToken,
	},
	{
		name: "an Error that would split the response", err: &oauthz.Error{
			Status: 400, Code: "c\r\nX-Injected: 1", Description: "d\", realm=\"evil\x00\t\x7f", Scopes: []string{"a\nb", "é"}, ACRValues: []string{`"\`},
		},
		want: answer{
			400, `Bearer realm="api", error="c??X-Injected: 1", error_description="d\", realm=\"evil???", scope="a?b ??", acr_values="\"\\"`,
			`{"error":"c\r\nX-Injected: 1","error_description":"d\", realm=\"evil\u0000\t` + "\x7f" + `"}`,
		},
	},
	{name: "an Error of a status that is none of the five", err: &oauthz.Error{Status: 200, Code: "c"}, want: ourMistake},
	{name: "an Error of no status", err: &oauthz.Error{Code: "c"}, want: ourMistake},
	{name: "a nil Error", err: (*oauthz.Error)(nil), want: ourMistake},
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	for _, tt := range challengeTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := oauthz.Config{Realm: tt.realm, ResourceMetadataURL: tt.metadata, Introspector: answers(nil, tt.err)}
			r := withGoodToken()
			switch {
			case tt.claims != "":
				cfg.Introspector = knows(tt.claims)
			case tt.err == nil:
				r.Header.Del("Authorization")
			}
			got := serve(t, newGuard(t, cfg), tt.req, r)
			tt.want.check(t, got)
			if got.challenge != "" {
				parsed, ok := parseChallenges(got.challenge)
				assert.True(t, ok, got.challenge)
				assert.Len(t, parsed, 1)
			}
		})
	}
}

// Retry-After is in whole seconds, is rounded up, and has an upper bound.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{name: "not said", err: errors.New("down"), want: "5"},
		{name: "rounded up", err: &oauthz.Error{Status: 503, RetryAfter: 1001 * time.Millisecond}, want: "2"},
		{name: "less than a second", err: &oauthz.Error{Status: 503, RetryAfter: time.Nanosecond}, want: "1"},
		{name: "negative", err: &oauthz.Error{Status: 503, RetryAfter: -time.Second}, want: "5"},
		{name: "a year", err: &oauthz.Error{Status: 503, RetryAfter: 365 * 24 * time.Hour}, want: "3600"},
		{name: "as long as a duration can be", err: &oauthz.Error{Status: 503, RetryAfter: 1<<63 - 1}, want: "3600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := serve(t, newGuard(t, oauthz.Config{Introspector: answers(nil, tt.err)}), oauthz.Require(), withGoodToken())
			assert.Equal(t, tt.want, got.header.Get("Retry-After"))
			assert.Equal(t, http.StatusServiceUnavailable, got.status)
			assert.Empty(t, got.challenge)
		})
	}
}

// The challenge and the headers of an Error are added to the headers that other layers have set. The headers that protect
// the response, such as Cache-Control, are replaced.
func TestHeadersOfOtherLayers(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{Introspector: answers(nil, &oauthz.Error{
		Status: 401, Code: "c", Header: http.Header{"dpop-nonce": {"n"}, "Vary": {"DPoP"}, "cache-control": {"public"}, "Content-Type": {"text/html"}},
	})})
	recorder := httptest.NewRecorder()
	recorder.Header().Set("Vary", "Origin")
	recorder.Header().Set("WWW-Authenticate", "Negotiate")
	recorder.Header().Set("Cache-Control", "max-age=60")
	guard.Protect(oauthz.Require())(&spy{}).ServeHTTP(recorder, withGoodToken())
	h := recorder.Header()
	assert.Equal(t, []string{"Negotiate", `Bearer realm="api", error="c"`}, h.Values("WWW-Authenticate"))
	assert.Equal(t, []string{"Origin", "DPoP"}, h.Values("Vary"))
	assert.Equal(t, []string{"n"}, h.Values("DPoP-Nonce"))
	assert.Equal(t, []string{"no-store"}, h.Values("Cache-Control"))
	assert.Equal(t, []string{"application/json"}, h.Values("Content-Type"))
	assert.Equal(t, []string{"nosniff"}, h.Values("X-Content-Type-Options"))
}

// New refuses a configuration that a challenge cannot express.
func TestNewRefusesWhatNoChallengeCanSay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		cfg      oauthz.Config
		mistaken string
	}{
		{name: "realm with CR LF", cfg: oauthz.Config{Realm: "a\r\nX: 1"}, mistaken: "Realm"},
		{name: "realm with NUL", cfg: oauthz.Config{Realm: "a\x00"}, mistaken: "Realm"},
		{name: "realm with DEL", cfg: oauthz.Config{Realm: "a\x7f"}, mistaken: "Realm"},
		{name: "realm with a tab", cfg: oauthz.Config{Realm: "a\tb"}, mistaken: "Realm"},
		{name: "realm outside ASCII", cfg: oauthz.Config{Realm: "café"}, mistaken: "Realm"},
		{name: "realm that is no UTF-8", cfg: oauthz.Config{Realm: "\xff"}, mistaken: "Realm"},
		{name: "metadata without a scheme", cfg: oauthz.Config{ResourceMetadataURL: "api.example/x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata by path alone", cfg: oauthz.Config{ResourceMetadataURL: "/.well-known/x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata over http", cfg: oauthz.Config{ResourceMetadataURL: "http://api.example/x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata over ftp", cfg: oauthz.Config{ResourceMetadataURL: "ftp://localhost/x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata like loopback", cfg: oauthz.Config{ResourceMetadataURL: "http://localhost.evil/x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata with a user", cfg: oauthz.Config{ResourceMetadataURL: "https://u:p@api.example/x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata with a fragment", cfg: oauthz.Config{ResourceMetadataURL: metadataURL + "#x"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata with a space", cfg: oauthz.Config{ResourceMetadataURL: "https://api.example/a b"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata with CR LF", cfg: oauthz.Config{ResourceMetadataURL: "https://api.example/\r\n"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata outside ASCII", cfg: oauthz.Config{ResourceMetadataURL: "https://api.example/é"}, mistaken: "ResourceMetadataURL"},
		{name: "metadata that is no URL", cfg: oauthz.Config{ResourceMetadataURL: "https://%"}, mistaken: "ResourceMetadataURL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Introspector = knows(`{}`)
			guard, err := oauthz.New(tt.cfg)
			assert.Nil(t, guard)
			assert.ErrorContains(t, err, "oauthz: config: "+tt.mistaken+": ")
		})
	}
}

func TestNewTakesMetadataURLs(t *testing.T) {
	t.Parallel()
	for _, u := range []string{metadataURL, "http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]:80/x", `https://api.example/"`} {
		guard := newGuard(t, oauthz.Config{ResourceMetadataURL: u})
		got, ok := parseChallenges(serve(t, guard, oauthz.Require(), get()).challenge)
		require.True(t, ok)
		assert.Equal(t, []challenge{{Scheme: "bearer", Parameters: map[string]string{"realm": "api", "resource_metadata": u}}}, got)
	}
}

// FuzzChallenge: for every Error that a hook returns there is one challenge, it parses back to the realm and to the fields
// of the Error, and no header holds a byte that could end it.
func FuzzChallenge(f *testing.F) {
	for _, tt := range challengeTests {
		var e *oauthz.Error
		if errors.As(tt.err, &e) && e != nil {
			f.Add(tt.realm, e.Status, e.Code, e.Description, strings.Join(e.Scopes, " "), strings.Join(e.ACRValues, " "), int64(-1))
		}
	}
	f.Add(`"\`, 401, `\`, `"`, `""`, `\\`, int64(1<<62))
	f.Fuzz(func(t *testing.T, realm string, status int, code, description, scope, acr string, age int64) {
		guard, err := oauthz.New(oauthz.Config{Introspector: knows(`{}`), Realm: realm})
		require.Equal(t, realm != printable(realm), err != nil, "%q: %v", realm, err)
		if err != nil {
			return
		}
		maxAge := time.Duration(age)
		sent := &oauthz.Error{Status: status, Code: code, Description: description, Scopes: []string{scope}, ACRValues: []string{acr}, MaxAge: &maxAge}
		recorder := httptest.NewRecorder()
		guard.WriteError(recorder, get(), sent)
		for name, values := range recorder.Header() {
			for _, v := range values {
				require.Equal(t, printable(v), v, name)
			}
		}
		if !slices.Contains([]int{400, 401, 403}, status) {
			assert.Empty(t, recorder.Header()["Www-Authenticate"])
			return
		}
		require.Len(t, recorder.Header()["Www-Authenticate"], 1)
		got, ok := parseChallenges(recorder.Header().Get("WWW-Authenticate"))
		require.True(t, ok)
		want := parameters(realm, sent)
		assert.Equal(t, []challenge{{Scheme: "bearer", Parameters: want}}, got)
	})
}

// parameters returns those of the challenge for an Error that has scopes, acr values and a maximal age.
func parameters(realm string, e *oauthz.Error) map[string]string {
	params := map[string]string{
		"realm": realm, "scope": printable(strings.Join(e.Scopes, " ")), "acr_values": printable(strings.Join(e.ACRValues, " ")),
		"max_age": fmt.Sprint(int64(*e.MaxAge / time.Second)),
	}
	if realm == "" {
		params["realm"] = "api"
	}
	if e.Code != "" {
		params["error"] = printable(e.Code)
		if e.Description != "" {
			params["error_description"] = printable(e.Description)
		}
	}
	return params
}

// printable returns s with a question mark for each byte that a quoted-string cannot hold.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
