package oauthz_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// confirmer checks one member of cnf, and records the arguments of its calls.
type confirmer struct {
	method string
	err    error
	asked  []string
}

func (c *confirmer) Method() string { return c.method }

func (c *confirmer) Confirm(r *http.Request, scheme, token string, t *oauthz.Token) error {
	c.asked = append(c.asked, strings.Join([]string{r.URL.Path, scheme, token, t.Subject}, " "))
	return c.err
}

// New reports all mistakes at once. A nil inside an interface is a mistake too.
func TestNewTellsAllMistakes(t *testing.T) {
	t.Parallel()
	var (
		noIssuer    *issuer
		noFunction  oauthz.IntrospectorFunc
		noList      *oauthz.MemoryRevocations
		noConfirmer *confirmer
	)
	guard, err := oauthz.New(oauthz.Config{
		Introspector:        noIssuer,
		RevocationLists:     []oauthz.RevocationList{&oauthz.MemoryRevocations{}, noList, nil},
		Confirmers:          []oauthz.Confirmer{noConfirmer, &confirmer{method: "jkt"}, &confirmer{method: "jkt"}, &confirmer{}, nil},
		Realm:               "a\nb",
		ResourceMetadataURL: "nowhere",
	})
	assert.Nil(t, guard)
	require.Error(t, err)
	var mistakes []string
	for line := range strings.Lines(err.Error()) {
		assert.True(t, strings.HasPrefix(line, "oauthz: config: "), line)
		mistakes = append(mistakes, strings.Fields(strings.TrimPrefix(line, "oauthz: config: "))[0])
	}
	assert.Equal(t, []string{
		"Introspector", "RevocationLists[1]", "RevocationLists[2]", "Realm:", "ResourceMetadataURL:",
		"Confirmers[0]", "Confirmers[2]:", "Confirmers[3]:", "Confirmers[4]",
	}, mistakes)

	for name, introspector := range map[string]oauthz.Introspector{"nil": nil, "nil function": noFunction, "nil pointer": noIssuer} {
		guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
		assert.Nil(t, guard, name)
		assert.EqualError(t, err, "oauthz: config: Introspector is required", name)
	}
}

// New keeps copies of its lists.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	revoked := revocations(t, oauthz.Revocation{Match: map[string]any{"iss": "i"}})
	jkt := &confirmer{method: "jkt"}
	cfg := oauthz.Config{
		Introspector: knows(`{"iss":"i","cnf":{"jkt":"k"}}`), RevocationLists: []oauthz.RevocationList{revoked}, Confirmers: []oauthz.Confirmer{jkt},
	}
	guard := newGuard(t, cfg)
	cfg.RevocationLists[0], cfg.Confirmers[0], cfg.Introspector = &oauthz.MemoryRevocations{}, nil, nil
	badToken.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
}

// A nil Guard and a nil handler let no request through.
func TestZeroGuard(t *testing.T) {
	t.Parallel()
	got := serve(t, &oauthz.Guard{}, oauthz.Require(), withGoodToken())
	assert.Equal(t, http.StatusInternalServerError, got.status)
	assert.False(t, got.ran)
	assert.PanicsWithValue(t, "oauthz: Protect: nil handler", func() { newGuard(t, oauthz.Config{}).Protect(oauthz.Require())(nil) })
}

const (
	bound  = `{"sub":"s","cnf":{"jkt":"k","x5t#S256":"c"}}`
	forKey = "/orders Bearer " + goodToken + " s" // what a confirmer is asked
)

// confirmerTests are bound tokens, with the Confirmers that check them.
var confirmerTests = []struct {
	name       string
	claims     string
	confirmers []*confirmer
	want       answer
	asked      []string // by confirmer, "" if not
}{
	{name: "nothing to confirm", claims: `{}`, confirmers: []*confirmer{{method: "jkt"}}, want: allowed, asked: []string{""}},
	{name: "both confirmed", claims: bound, confirmers: []*confirmer{{method: "jkt"}, {method: "x5t#S256"}}, want: allowed, asked: []string{forKey, forKey}},
	{name: "the first refuses", claims: bound, confirmers: []*confirmer{{method: "jkt", err: oauthz.ErrInvalidToken}, {method: "x5t#S256"}}, want: badToken, asked: []string{forKey, ""}},
	{name: "the second refuses", claims: bound, confirmers: []*confirmer{{method: "jkt"}, {method: "x5t#S256", err: oauthz.ErrInvalidToken}}, want: badToken, asked: []string{forKey, forKey}},
	{name: "nobody for one of them", claims: bound, confirmers: []*confirmer{{method: "x5t#S256"}}, want: badToken, asked: []string{""}},
	{name: "nobody at all", claims: bound, want: badToken},
	{name: "a member that is not known", claims: `{"sub":"s","cnf":{"jkt":"k","kid":"1"}}`, confirmers: []*confirmer{{method: "jkt"}}, want: badToken, asked: []string{forKey}},
	{name: "a member of another case", claims: `{"cnf":{"JKT":"k"}}`, confirmers: []*confirmer{{method: "jkt"}}, want: badToken, asked: []string{""}},
	{name: "a member that is not known, confirmed", claims: `{"sub":"s","cnf":{"kid":"1"}}`, confirmers: []*confirmer{{method: "kid"}}, want: allowed, asked: []string{forKey}},
	{name: "an empty cnf", claims: `{"cnf":{}}`, confirmers: []*confirmer{{method: "jkt"}}, want: badToken, asked: []string{""}},
	{name: "a member that is empty", claims: `{"cnf":{"jkt":""}}`, confirmers: []*confirmer{{method: "jkt"}}, want: badToken, asked: []string{""}},
	{name: "a fault", claims: bound, confirmers: []*confirmer{{method: "jkt", err: errDown}, {method: "x5t#S256"}}, want: cannotTell, asked: []string{forKey, ""}},
	{name: "an answer of its own", claims: bound, confirmers: []*confirmer{{method: "jkt", err: &oauthz.Error{Status: 401, Code: "invalid_dpop_proof"}}, {method: "x5t#S256"}}, asked: []string{forKey, ""}, want: answer{
		401, `Bearer realm="api", error="invalid_dpop_proof"`, `{"error":"invalid_dpop_proof"}`,
	}},
}

func TestConfirmers(t *testing.T) {
	t.Parallel()
	for _, tt := range confirmerTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := oauthz.Config{Introspector: knows(tt.claims)}
			var confirmers []*confirmer // copies: the table's are used again
			for _, c := range tt.confirmers {
				confirmers = append(confirmers, &confirmer{method: c.method, err: c.err})
				cfg.Confirmers = append(cfg.Confirmers, confirmers[len(confirmers)-1])
			}
			tt.want.check(t, serve(t, newGuard(t, cfg), oauthz.Require(), withGoodToken()))
			for i, c := range confirmers {
				assert.Equal(t, tt.asked[i], strings.Join(c.asked, "\n"), c.method)
			}
		})
	}
}

// A Confirmer is called before the requirement is checked, whatever the route requires.
func TestConfirmersAreAskedOnEveryRoute(t *testing.T) {
	t.Parallel()
	jkt := &confirmer{method: "jkt", err: oauthz.ErrInvalidToken}
	guard := newGuard(t, oauthz.Config{Introspector: knows(`{"cnf":{"jkt":"k"}}`), Confirmers: []oauthz.Confirmer{jkt}})
	badToken.check(t, serve(t, guard, oauthz.Require("a"), withGoodToken()))
	badToken.check(t, serve(t, guard, oauthz.Require().OrAnonymous(), withGoodToken()))
}

var errForeign = fmt.Errorf("jwt: %w", oauthz.ErrUnrecognized)

// firstOfTests are chains of introspectors.
var firstOfTests = []struct {
	name  string
	chain []error // what each says; nil: the token is active
	asked int
	want  error
}{
	{name: "the first knows it", chain: []error{nil, errDown}, asked: 1},
	{name: "the first does not recognize it", chain: []error{errForeign, nil}, asked: 2},
	{name: "a refusal ends the sequence", chain: []error{oauthz.ErrExpired, nil}, asked: 1, want: oauthz.ErrExpired},
	{name: "a fault ends it", chain: []error{errForeign, errDown, nil}, asked: 2, want: errDown},
	{name: "nobody recognizes it", chain: []error{errForeign, errForeign}, asked: 2, want: oauthz.ErrUnrecognized},
}

func TestFirstOf(t *testing.T) {
	t.Parallel()
	known := &oauthz.Token{Subject: "s"}
	for _, tt := range firstOfTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			var chain []oauthz.Introspector
			for _, err := range tt.chain {
				chain = append(chain, oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
					if asked++; err != nil {
						return nil, err
					}
					return known, nil
				}))
			}
			first, err := oauthz.FirstOf(chain...)
			require.NoError(t, err)
			clear(chain) // it has its own list
			got, err := first.Introspect(t.Context(), goodToken)
			assert.ErrorIs(t, err, tt.want)
			assert.Equal(t, tt.want == nil, got == known)
			assert.Equal(t, tt.asked, asked)
		})
	}
	_, err := oauthz.FirstOf()
	require.EqualError(t, err, "oauthz: FirstOf: no introspector")
	_, err = oauthz.FirstOf(knows(`{}`), (*issuer)(nil))
	require.EqualError(t, err, "oauthz: FirstOf: introspector 1 is nil")
}

// The effect of the method of a request.
func TestMethods(t *testing.T) {
	t.Parallel()
	preflight := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"DELETE"}}
	without := func(name string) http.Header {
		h := preflight.Clone()
		h.Del(name)
		return h
	}
	head := noToken
	head.body = ""
	for _, tt := range []struct {
		name, method string
		header       http.Header
		allow        bool
		want         answer
	}{
		{name: "HEAD", method: "HEAD", want: head},
		{name: "TRACE", method: "TRACE", want: noToken},
		{name: "CONNECT", method: "CONNECT", want: noToken},
		{name: "OPTIONS", method: "OPTIONS", want: noToken},
		{name: "preflight, not allowed", method: "OPTIONS", header: preflight, want: noToken},
		{name: "preflight, allowed", method: "OPTIONS", header: preflight, allow: true, want: allowed},
		{name: "OPTIONS, preflights allowed", method: "OPTIONS", allow: true, want: noToken},
		{name: "OPTIONS without Origin, preflights allowed", method: "OPTIONS", header: without("Origin"), allow: true, want: noToken},
		{name: "OPTIONS without a method, preflights allowed", method: "OPTIONS", header: without("Access-Control-Request-Method"), allow: true, want: noToken},
		{name: "GET like a preflight, preflights allowed", method: "GET", header: preflight, allow: true, want: noToken},
		{name: "options in lower case, preflights allowed", method: "options", header: preflight, allow: true, want: noToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := get()
			r.Method, r.Header = tt.method, tt.header
			if r.Header == nil {
				r.Header = http.Header{}
			}
			tt.want.check(t, serve(t, newGuard(t, oauthz.Config{AllowPreflight: tt.allow}), oauthz.Require(), r))
		})
	}
}

// A browser is not redirected to a login page.
func TestBrowsersAreToldTheSame(t *testing.T) {
	t.Parallel()
	r := get()
	r.Header.Set("Accept", "text/html")
	noToken.check(t, serve(t, newGuard(t, oauthz.Config{}), oauthz.Require(), r))
}

// A Guard around a router answers before the router does.
func TestUnknownRoutesAreRefused(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("POST /orders", &spy{})
	h := newGuard(t, oauthz.Config{}).Protect(oauthz.Require())(mux)
	for _, path := range []string{"/orders", "/nowhere", "/orders/..;/", "/%6frders", "//orders"} {
		recorder := httptest.NewRecorder()
		r := get()
		r.URL.Path = path
		h.ServeHTTP(recorder, r)
		noToken.check(t, seen(t, recorder.Result(), &spy{}))
	}
}

// The body is not read and not closed, for every outcome.
func TestBodyIsNotTouched(t *testing.T) {
	t.Parallel()
	for name, authorization := range map[string]string{"allowed": "Bearer " + goodToken, "refused": "Bearer bad", "malformed": "Bearer a b", "none": ""} {
		r := get(authorization)
		r.Method, r.Body = http.MethodPost, untouchable{t}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		serve(t, newGuard(t, oauthz.Config{}), oauthz.Require(), r)
		assert.Nil(t, r.Form, name)
	}
}

type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (u untouchable) Close() error {
	u.t.Error("the body was closed")
	return nil
}

// Concurrent requests do not affect each other, even if each handler changes its token.
func TestParallelRequestsOfManyUsers(t *testing.T) {
	t.Parallel()
	const users, requests = 10, 1000
	tokens := map[string]*oauthz.Token{}
	for u := range users {
		tokens[fmt.Sprint("token-", u)] = parse(t, fmt.Sprintf(`{"sub":"user-%d","aud":["x"],"scope":"a","n":%d}`, u, u))
	}
	guard := newGuard(t, oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) { return tokens[token], nil }),
		Observe:      func(ctx context.Context, d oauthz.Decision) { d.Token.Scopes[0] = "observed" },
	})
	h := guard.Protect(oauthz.Require("a"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		n, _ := token.Claim("n")
		fmt.Fprintf(w, "%s %v %v %s", token.Subject, token.Audience, []string(token.Scopes), n)
		token.Subject, token.Audience[0], token.Scopes[0] = "mallory", "y", "admin"
		copy(n, "x")
	}))
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			u := i % users
			recorder := httptest.NewRecorder()
			h.ServeHTTP(recorder, get(fmt.Sprint("Bearer token-", u)))
			assert.Equal(t, fmt.Sprintf("user-%d [x] [a] %d", u, u), recorder.Body.String())
		})
	}
	wg.Wait()
}
