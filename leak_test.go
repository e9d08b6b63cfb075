package oauthz_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// The canaries: a token of three segments, none of which may be visible on its own, and a client secret.
const (
	canarySegment = "Y2FuYXJ5LXBheWxvYWQ"
	canaryToken   = "Y2FuYXJ5LWhlYWRlcg." + canarySegment + ".Y2FuYXJ5LXNpZ25hdHVyZQ"
	canarySecret  = "canary-secret"
)

// requireNoLeak searches text for every canary and every segment.
func requireNoLeak(t *testing.T, where, text string) {
	t.Helper()
	for _, needle := range append(strings.Split(canaryToken, "."), canarySecret) {
		require.False(t, strings.Contains(text, needle), "%s holds %q", where, needle)
	}
}

// prints returns v as a careless program would print and log it.
func prints(v any) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v %s %q ", v, v, v, v, v)
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&b, nil)), slog.New(slog.NewJSONHandler(&b, nil))} {
		logger.Info("printed", "value", v, slog.Group("group", slog.Any("value", v)))
	}
	if encoded, err := json.Marshal(v); err == nil {
		b.Write(encoded)
	}
	return b.String()
}

// upstream is the fault of a client that failed, which does not hold the token.
var upstream = &url.Error{Op: "Post", URL: "https://as.example/introspect", Err: context.DeadlineExceeded}

// leakTests are the ways in which a request with the canary fails.
var leakTests = []struct {
	name    string
	headers []string // default: the canary as a Bearer token
	target  string
	cfg     oauthz.Config
	req     oauthz.Requirement
}{
	{name: "malformed", headers: []string{"Bearer " + canaryToken + " x"}},
	{name: "quoted", headers: []string{`Bearer "` + canaryToken + `"`}},
	{name: "not ASCII", headers: []string{"Bearer " + canaryToken + "\xff"}},
	{name: "CR LF", headers: []string{"Bearer " + canaryToken + "\r\nX: " + canaryToken}},
	{name: "repeated", headers: []string{"Bearer " + canaryToken, "Bearer " + canaryToken}},
	{name: "merged", headers: []string{"Basic x, Bearer " + canaryToken}},
	{name: "another scheme", headers: []string{"Token " + canaryToken}},
	{name: "no scheme", headers: []string{canaryToken}},
	{name: "glued", headers: []string{"Bearer" + canaryToken}},
	{name: "too long", headers: []string{"Bearer " + canaryToken + longest}},
	{name: "query", headers: []string{""}, target: "/?access_token=" + canaryToken},
	{name: "query and header", target: "/?access_token=" + canaryToken},
	{name: "unknown", cfg: oauthz.Config{Introspector: answers(nil, oauthz.ErrInvalidToken)}},
	{name: "not recognized", cfg: oauthz.Config{Introspector: answers(nil, oauthz.ErrUnrecognized)}},
	{name: "expired", cfg: oauthz.Config{Introspector: answers(nil, oauthz.ErrExpired)}},
	{name: "over", cfg: oauthz.Config{Introspector: always(`{"exp":1}`)}},
	{name: "introspector fails", cfg: oauthz.Config{Introspector: answers(nil, upstream)}},
	{name: "introspector says nothing", cfg: oauthz.Config{Introspector: answers(nil, nil)}},
	{name: "an Error of no status", cfg: oauthz.Config{Introspector: answers(nil, &oauthz.Error{Err: upstream})}},
	{name: "claims that are none", cfg: oauthz.Config{Introspector: always(`{"sub":7}`)}},
	{name: "revoked", cfg: oauthz.Config{Introspector: always(`{}`), RevocationLists: []oauthz.RevocationList{listSays{true, nil}}}},
	{name: "list fails", cfg: oauthz.Config{Introspector: always(`{}`), RevocationLists: []oauthz.RevocationList{listSays{false, upstream}}}},
	{name: "nobody to confirm", cfg: oauthz.Config{Introspector: always(`{"cnf":{"jkt":"k"}}`)}},
	{name: "confirmer refuses", cfg: confirmedBy(oauthz.ErrInvalidToken)},
	{name: "confirmer fails", cfg: confirmedBy(upstream)},
	{name: "lacks a scope", cfg: oauthz.Config{Introspector: always(`{}`)}, req: scopeA},
	{name: "lacks a claim", cfg: oauthz.Config{Introspector: always(`{"roles":[]}`)}, req: admin},
	{name: "login too weak", cfg: oauthz.Config{Introspector: always(`{"acr":"bronze"}`)}, req: gold},
	{name: "allowed", cfg: oauthz.Config{Introspector: always(`{"sub":"s"}`)}},
}

// always is an introspector that accepts every token and returns these claims.
func always(claims string) oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return oauthz.ParseToken([]byte(claims)) })
}

func confirmedBy(err error) oauthz.Config {
	return oauthz.Config{Introspector: always(`{"cnf":{"jkt":"k"}}`), Confirmers: []oauthz.Confirmer{confirmerFunc(func() error { return err })}}
}

func canaryRequest(target string, headers []string) *http.Request {
	if target == "" {
		target = "/orders"
	}
	if headers == nil {
		headers = []string{"Bearer " + canaryToken}
	}
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header["Authorization"] = headers
	return r
}

// No byte of a token is in a response, in an error, in the log of a Decision, or in a printed context.
func TestTokenDoesNotLeak(t *testing.T) {
	t.Parallel()
	for _, tt := range leakTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			searchForCanaries(t, tt.cfg, tt.req, canaryRequest(tt.target, tt.headers))
		})
	}
}

// No byte of a token is visible if a hook panics with the token.
func TestPanicsDoNotLeak(t *testing.T) {
	t.Parallel()
	for _, value := range []any{canaryToken, leaky(canaryToken), fmt.Errorf("token %s", canaryToken), &url.Error{URL: canaryToken}, []string{canaryToken}, canaryRequest("", nil)} {
		for where, cfg := range panics(value) {
			t.Run(fmt.Sprintf("%s, %T", where, value), func(t *testing.T) {
				t.Parallel()
				if cfg.Introspector == nil {
					cfg.Introspector = always(`{"sub":"s"}`)
				} else if where == "Confirmer" {
					cfg.Introspector = always(`{"cnf":{"jkt":"k"}}`)
				}
				searchForCanaries(t, cfg, oauthz.Require(), canaryRequest("", nil))
			})
		}
		t.Run(fmt.Sprintf("ErrorHandler, %T", value), func(t *testing.T) {
			t.Parallel()
			cfg := oauthz.Config{ErrorHandler: func(http.ResponseWriter, *http.Request, *oauthz.Error) { panic(value) }}
			searchForCanaries(t, cfg, oauthz.Require(), canaryRequest("", nil))
		})
	}
}

// searchForCanaries sends r, and searches all outputs of the Guard.
func searchForCanaries(t *testing.T, cfg oauthz.Config, req oauthz.Requirement, r *http.Request) {
	t.Helper()
	decisions := 0
	cfg.Observe = func(_ context.Context, d oauthz.Decision) {
		decisions++
		requireNoLeak(t, "Decision", prints(d)+prints(&d))
		if d.Err != nil {
			requireNoLeak(t, "Decision.Err", prints(d.Err)+prints(*d.Err)+prints(d.Err.Err)+d.Err.Error())
		}
		if d.Token != nil {
			requireNoLeak(t, "Decision.Token", prints(d.Token)+prints(*d.Token))
		}
	}
	guard := newGuard(t, cfg)
	var logged bytes.Buffer
	r = logging(r, &logged)
	recorder := httptest.NewRecorder()
	guard.Protect(req)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requireNoLeak(t, "context", prints(r.Context()))
		requireNoLeak(t, "context within another", prints(context.WithValue(r.Context(), decisionKey{}, 1)))
	})).ServeHTTP(recorder, r)
	response, err := httputil.DumpResponse(recorder.Result(), true)
	require.NoError(t, err)
	requireNoLeak(t, "response", string(response))
	requireNoLeak(t, "log", logged.String())
	assert.Equal(t, 1, decisions)

	_, err = guard.Authorize(r, req)
	requireNoLeak(t, "error", prints(err))
	requireNoLeak(t, "guard", fmt.Sprintf("%v %+v %#v %v %+v %#v", guard, guard, guard, *guard, *guard, *guard))
}

type decisionKey struct{}

// credentials is the configuration of a client of an authorization server.
type credentials struct {
	ID      string
	Secret  oauthz.Secret
	Pointer *oauthz.Secret
	List    []oauthz.Secret
	Map     map[string]oauthz.Secret
	Any     any
	Nested  struct{ Secret oauthz.Secret }
}

func (credentials) Introspect(context.Context, string) (*oauthz.Token, error) {
	return nil, oauthz.ErrInvalidToken
}

func someCredentials() credentials {
	secret := oauthz.Secret(canarySecret)
	c := credentials{ID: "visible", Secret: secret, Pointer: &secret, List: []oauthz.Secret{secret}, Map: map[string]oauthz.Secret{"k": secret}, Any: secret}
	c.Nested.Secret = secret
	return c
}

// A Secret is not printed by any verb with any flag, alone or within another value, except by two verbs.
func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	c := someCredentials()
	for _, v := range []any{c.Secret, &c.Secret, c.List, c.Map, c.Any, c.Nested, c, &c, oauthz.Config{Introspector: c}} {
		for _, verb := range "vsqxXdbcoOeEfFgGtTU!" {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "20", ".3", "+#20.3"} {
				format := "%" + flags + string(verb)
				requireNoLeak(t, fmt.Sprintf("%s of %T", format, v), fmt.Sprintf(format, v))
			}
		}
		requireNoLeak(t, fmt.Sprintf("%T", v), prints(v)+fmt.Sprint(v)+fmt.Sprintln(v))
		for _, format := range []string{"too many", "%[2]v", "%*d", "%.*d", "%"} { // mistakes that package fmt explains in place
			requireNoLeak(t, fmt.Sprintf("%q of %T", format, v), fmt.Sprintf(format, v))
		}
	}
	assert.Equal(t, "[redacted]", c.Secret.String())
	assert.Equal(t, slog.StringValue("[redacted]"), slog.AnyValue(c.Secret).Resolve())
	assert.Equal(t, "[redacted] [redacted]", fmt.Sprintf("%v %x", c.Secret, c.Secret))
	assert.Contains(t, fmt.Sprintf("%+v", c), "visible", "what is no secret is printed")
	assert.Equal(t, canarySecret, string(c.Secret), "it is used by converting it")
}

// For two verbs package fmt calls no method of a value. The comment of Secret must name them as long as that is true.
func TestVerbsThatPrintASecret(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%p", "%w"} {
		assert.Contains(t, fmt.Sprintf(verb, oauthz.Secret(canarySecret)), canarySecret, verb)
	}
	assert.Equal(t, "oauthz.Secret", fmt.Sprintf("%T", oauthz.Secret(canarySecret)))
}

func TestSecretIsNotEncoded(t *testing.T) {
	t.Parallel()
	c := someCredentials()
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"ID":"visible","Secret":"[redacted]","Pointer":"[redacted]","List":["[redacted]"],"Map":{"k":"[redacted]"},
		"Any":"[redacted]","Nested":{"Secret":"[redacted]"}}`, string(encoded))
}

func TestSecretIsNotLogged(t *testing.T) {
	t.Parallel()
	for _, handler := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var b bytes.Buffer
		c := someCredentials()
		slog.New(handler(&b)).With("with", c.Secret).WithGroup("g").Info("m", "secret", c.Secret, "pointer", c.Pointer, "all", c, "list", c.List)
		requireNoLeak(t, "log", b.String())
		assert.Contains(t, b.String(), "[redacted]")
		assert.Contains(t, b.String(), "visible")
	}
}
