package oauthz_test

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// anonymousTests are requests with no, bad and good credentials; the good ones have the scope "a".
var anonymousTests = []struct {
	name          string
	req           oauthz.Requirement
	authorization string
	want          answer
	token         bool // in the handler's context
}{
	{name: "or anonymous, nobody", req: scopeA.OrAnonymous(), want: allowed},
	{name: "or anonymous, good", req: scopeA.OrAnonymous(), authorization: "Bearer " + goodToken, want: allowed, token: true},
	{name: "or anonymous, bad", req: scopeA.OrAnonymous(), authorization: "Bearer bad", want: badToken},
	{name: "or anonymous, malformed", req: scopeA.OrAnonymous(), authorization: "Bearer a b", want: badRequest},
	{name: "or anonymous, another scheme", req: scopeA.OrAnonymous(), authorization: "Basic dXNlcjpwYXNz", want: allowed},
	{name: "or anonymous, lacks a scope", req: scopeB.OrAnonymous(), authorization: "Bearer " + goodToken, want: lacksScope("b")},
	{name: "zero or anonymous, nobody", req: oauthz.Requirement{}.OrAnonymous(), want: allowed},
	{name: "zero or anonymous, bad", req: oauthz.Requirement{}.OrAnonymous(), authorization: "Bearer bad", want: badToken},
	{name: "all, one of them or anonymous, nobody", req: oauthz.All(scopeA.OrAnonymous(), scopeB), want: asks("a b")},
	{name: "all, each or anonymous, nobody", req: oauthz.All(scopeA.OrAnonymous(), scopeB.OrAnonymous()), want: allowed},
	{name: "all or anonymous, nobody", req: oauthz.All(scopeA, scopeB).OrAnonymous(), want: allowed},
	{name: "all or anonymous, lacks a scope", req: oauthz.All(scopeA, scopeB).OrAnonymous(), authorization: "Bearer " + goodToken, want: lacksScope("a b")},
	{name: "all of public and or anonymous, nobody", req: oauthz.All(oauthz.Public(), scopeA.OrAnonymous()), want: allowed},
	{name: "all of public and or anonymous, bad", req: oauthz.All(oauthz.Public(), scopeA.OrAnonymous()), authorization: "Bearer bad", want: badToken},
	{name: "all of public, bad", req: oauthz.All(oauthz.Public(), oauthz.Public()), authorization: "Bearer bad", want: allowed},
	{name: "any, one of them or anonymous, nobody", req: oauthz.Any(scopeB, scopeA.OrAnonymous()), want: allowed},
	{name: "any, one of them or anonymous, bad", req: oauthz.Any(scopeB, scopeA.OrAnonymous()), authorization: "Bearer bad", want: badToken},
	{name: "any, a nested one or anonymous, nobody", req: oauthz.Any(scopeB, oauthz.All(scopeA.OrAnonymous(), oauthz.Public())), want: allowed},
	{name: "all of nothing, or anonymous, nobody", req: oauthz.All().OrAnonymous(), want: allowed},
	{name: "public, nobody", req: oauthz.Public(), want: allowed},
	{name: "public, bad", req: oauthz.Public(), authorization: "Bearer bad", want: allowed},
	{name: "public, malformed", req: oauthz.Public(), authorization: "Bearer a b", want: allowed},
	{name: "public, good: no token is looked at", req: oauthz.Public(), authorization: "Bearer " + goodToken, want: allowed},
	{name: "public or anonymous, bad", req: oauthz.Public().OrAnonymous(), authorization: "Bearer bad", want: allowed},
	{name: "any with public, bad", req: oauthz.Any(scopeA, oauthz.Public()), authorization: "Bearer bad", want: allowed},
	{name: "any, nested public, bad", req: oauthz.Any(scopeA, oauthz.All(oauthz.Public())), authorization: "Bearer bad", want: allowed},
}

// Requirements that let requests without credentials through. Bad credentials are refused unless the route is public.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	for _, tt := range anonymousTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := get()
			if tt.authorization != "" {
				r = get(tt.authorization)
			}
			got := serve(t, newGuard(t, oauthz.Config{Introspector: knows(`{"scope":"a"}`)}), tt.req, r)
			tt.want.check(t, got)
			assert.Equal(t, tt.token, got.token != nil, "token in the context")
		})
	}
}

// A token that other code has put into the context is not the token of an anonymous request.
func TestAnonymousHasNoToken(t *testing.T) {
	t.Parallel()
	r := get()
	r = r.WithContext(oauthz.WithToken(r.Context(), &oauthz.Token{Subject: "mallory"}))
	got := serve(t, newGuard(t, oauthz.Config{}), oauthz.Require().OrAnonymous(), r)
	allowed.check(t, got)
	assert.Nil(t, got.token)
}

// A requirement on its own lets no request through without a token.
func TestCheckWithoutToken(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]oauthz.Requirement{
		"zero": {}, "any valid token": oauthz.Require(), "scope": scopeA, "any": oauthz.RequireAny("a", "b"), "claim": admin, "acr": gold, "max age": recent,
		"all": oauthz.All(), "all of two": oauthz.All(scopeA.OrAnonymous(), scopeB), "any of two": oauthz.Any(scopeA, scopeB),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := req.Check(nil, epoch)
			require.ErrorIs(t, err, oauthz.ErrNoToken)
			assert.Equal(t, &oauthz.Error{Status: 401, Scopes: req.Scopes(), Err: oauthz.ErrNoToken}, err)
		})
	}
	for name, req := range map[string]oauthz.Requirement{
		"public": oauthz.Public(), "or anonymous": scopeA.OrAnonymous(), "any with public": oauthz.Any(scopeA, oauthz.Public()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.NoError(t, req.Check(nil, epoch))
		})
	}
}

// Check returns a nil error, not an error that holds a nil *Error.
func TestCheckReturnsNil(t *testing.T) {
	t.Parallel()
	err := oauthz.Require().Check(&oauthz.Token{}, epoch)
	assert.True(t, err == nil)
}

// A requirement that no token can meet is a mistake in the program, which panics when it starts.
func TestRequirementsPanic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		build func() oauthz.Requirement
		names string // what the panic must name
	}{
		{name: "scope with a space", build: func() oauthz.Requirement { return oauthz.Require("a b") }, names: `oauthz: Require: scope "a b" `},
		{name: "scope with a quote", build: func() oauthz.Requirement { return oauthz.Require("a", `b"`) }, names: `oauthz: Require: scope "b\"" `},
		{name: "scope with a backslash", build: func() oauthz.Requirement { return oauthz.Require(`\`) }, names: `oauthz: Require: scope "\\" `},
		{name: "scope with CR LF", build: func() oauthz.Requirement { return oauthz.Require("a\r\n") }, names: `oauthz: Require: scope "a\r\n" `},
		{name: "scope outside ASCII", build: func() oauthz.Requirement { return oauthz.Require("é") }, names: `oauthz: Require: scope "é" `},
		{name: "empty scope", build: func() oauthz.Requirement { return oauthz.Require("") }, names: `oauthz: Require: scope "" `},
		{name: "any of no scope", build: func() oauthz.Requirement { return oauthz.RequireAny() }, names: "oauthz: RequireAny: no values"},
		{name: "any of a bad scope", build: func() oauthz.Requirement { return oauthz.RequireAny("a", "") }, names: `oauthz: RequireAny: scope "" `},
		{name: "claim without a name", build: func() oauthz.Requirement { return oauthz.RequireClaim("", "x") }, names: "oauthz: RequireClaim: no name"},
		{name: "claim without values", build: func() oauthz.Requirement { return oauthz.RequireClaim("x") }, names: "oauthz: RequireClaim: no values"},
		{name: "claim with an empty value", build: func() oauthz.Requirement { return oauthz.RequireClaim("x", "") }, names: `oauthz: RequireClaim: value "" `},
		{name: "acr without values", build: func() oauthz.Requirement { return oauthz.RequireACR() }, names: "oauthz: RequireACR: no values"},
		{name: "acr with a space", build: func() oauthz.Requirement { return oauthz.RequireACR("a b") }, names: `oauthz: RequireACR: value "a b" `},
		{name: "acr with a quote", build: func() oauthz.Requirement { return oauthz.RequireACR(`"`) }, names: `oauthz: RequireACR: value "\"" `},
		{name: "age zero", build: func() oauthz.Requirement { return oauthz.RequireMaxAge(0) }, names: "oauthz: RequireMaxAge: 0s "},
		{name: "age negative", build: func() oauthz.Requirement { return oauthz.RequireMaxAge(-time.Hour) }, names: "oauthz: RequireMaxAge: -1h0m0s "},
		{name: "age with a fraction", build: func() oauthz.Requirement { return oauthz.RequireMaxAge(1500 * time.Millisecond) }, names: "oauthz: RequireMaxAge: 1.5s "},
		{name: "age as long as can be", build: func() oauthz.Requirement { return oauthz.RequireMaxAge(math.MaxInt64) }, names: "oauthz: RequireMaxAge: "},
		{name: "any of nothing", build: func() oauthz.Requirement { return oauthz.Any() }, names: "oauthz: Any: no requirements"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				assert.Contains(t, recover(), tt.names)
			}()
			tt.build()
		})
	}
}

func TestRequirementDescribesItself(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		req    oauthz.Requirement
		want   string
		scopes []string
	}{
		{req: oauthz.Requirement{}, want: "any valid token"},
		{req: oauthz.Require(), want: "any valid token"},
		{req: oauthz.Require("b", "a", "b"), want: "scope b a", scopes: []string{"b", "a"}},
		{req: oauthz.RequireAny("b", "a"), want: "any(scope b, scope a)", scopes: []string{"b"}},
		{req: admin, want: `claim "roles" in ["admin" "root"]`},
		{req: gold, want: "acr gold platinum"},
		{req: recent, want: "max_age 300"},
		{req: oauthz.All(), want: "all()"},
		{req: oauthz.All(scopeA, oauthz.Any(scopeB, admin)), want: `all(scope a, any(scope b, claim "roles" in ["admin" "root"]))`, scopes: []string{"a", "b"}},
		{req: oauthz.All(oauthz.Require("a", "b"), oauthz.Require("b", "c")), want: "all(scope a b, scope b c)", scopes: []string{"a", "b", "c"}},
		{req: oauthz.Public(), want: "public"},
		{req: scopeA.OrAnonymous(), want: "scope a or anonymous", scopes: []string{"a"}},
		{req: oauthz.All(scopeA.OrAnonymous(), scopeB).OrAnonymous(), want: "all(scope a or anonymous, scope b) or anonymous", scopes: []string{"a", "b"}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.req.String())
			assert.Equal(t, tt.scopes, tt.req.Scopes())
		})
	}
}

// A Requirement is safe for concurrent use, and so is one that is part of several.
func TestRequirementConcurrently(t *testing.T) {
	t.Parallel()
	shared := oauthz.Require("a", "b", "c")
	var wg sync.WaitGroup
	for i := range 8 {
		own := oauthz.Require(string(rune('d' + i)))
		req := oauthz.All(shared, gold, own)
		want := "a b c " + own.Scopes()[0]
		wg.Go(func() {
			for range 100 {
				var e *oauthz.Error
				assert.ErrorAs(t, req.Check(&oauthz.Token{}, epoch), &e)
				assert.Equal(t, want, strings.Join(e.Scopes, " "))
				assert.Equal(t, want, strings.Join(req.Scopes(), " "))
			}
		})
	}
	wg.Wait()
}

// A change of the arguments or of the results of a Requirement does not change it.
func TestRequirementIsImmutable(t *testing.T) {
	t.Parallel()
	scopes, values, parts := []string{"a", "b"}, []string{"x", "y"}, []oauthz.Requirement{oauthz.Require("a"), gold, recent}
	reqs := []oauthz.Requirement{
		oauthz.Require(scopes...), oauthz.RequireAny(scopes...), oauthz.RequireClaim("c", values...), oauthz.RequireACR(values...),
		oauthz.All(parts...), oauthz.Any(parts...), oauthz.All(gold, recent), oauthz.All(oauthz.Require(scopes...), oauthz.Require("c")),
	}
	type view struct {
		text   string
		scopes []string
		err    oauthz.Error
	}
	look := func() (views []view) {
		for _, req := range reqs {
			e := *req.Check(&oauthz.Token{}, epoch).(*oauthz.Error)
			views = append(views, view{req.String(), req.Scopes(), e})
		}
		return views
	}
	before := look()

	scopes[0], values[0], parts[0] = "changed", "changed", oauthz.Public()
	for _, req := range reqs {
		e := req.Check(&oauthz.Token{}, epoch).(*oauthz.Error)
		for _, list := range [][]string{req.Scopes(), e.Scopes, e.ACRValues} {
			for i := range list {
				list[i] = "changed"
			}
			_ = append(list, "changed")
		}
		if e.MaxAge != nil {
			*e.MaxAge = 0
		}
		_ = req.OrAnonymous()
	}
	assert.Equal(t, before, look())
}
