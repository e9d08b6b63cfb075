package oauthz_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// pairs returns All of n Anys, each of two scopes that no other has: it has 2^n alternatives.
func pairs(n int) oauthz.Requirement {
	parts := make([]oauthz.Requirement, n)
	for i := range parts {
		parts[i] = oauthz.RequireAny(fmt.Sprintf("l%d", i), fmt.Sprintf("r%d", i))
	}
	return oauthz.All(parts...)
}

// numbered returns Require of each of n scopes.
func numbered(n int) []oauthz.Requirement {
	reqs := make([]oauthz.Requirement, n)
	for i := range reqs {
		reqs[i] = oauthz.Require(fmt.Sprintf("s%d", i))
	}
	return reqs
}

// nested wraps req n times.
func nested(n int, req oauthz.Requirement, wrap func(...oauthz.Requirement) oauthz.Requirement, with ...oauthz.Requirement) oauthz.Requirement {
	for range n {
		req = wrap(append([]oauthz.Requirement{req}, with...)...)
	}
	return req
}

var (
	ab     = oauthz.RequireAny("a", "b")
	scopeC = oauthz.Require("c")
)

var openAPITests = []struct {
	name string
	req  oauthz.Requirement
	want string // JSON
}{
	{name: "zero", want: `[{"at":[]}]`},
	{name: "any valid token", req: oauthz.Require(), want: `[{"at":[]}]`},
	{name: "scopes in written order", req: oauthz.Require("b", "a", "b"), want: `[{"at":["b","a"]}]`},
	{name: "any", req: oauthz.RequireAny("b", "a"), want: `[{"at":["b"]},{"at":["a"]}]`},
	{name: "any: a set twice", req: oauthz.Any(oauthz.Require("a", "b"), scopeC, oauthz.Require("b", "a")), want: `[{"at":["a","b"]},{"at":["c"]}]`},
	{name: "any: no absorption", req: oauthz.Any(oauthz.Require("a", "b"), scopeA), want: `[{"at":["a","b"]},{"at":["a"]}]`},
	{name: "any in any", req: oauthz.Any(scopeC, oauthz.Any(scopeB, oauthz.Any(scopeA, scopeC))), want: `[{"at":["c"]},{"at":["b"]},{"at":["a"]}]`},
	{name: "all", req: oauthz.All(scopeB, scopeA), want: `[{"at":["b","a"]}]`},
	{name: "all: a scope twice", req: oauthz.All(oauthz.Require("b", "a"), oauthz.Require("c", "b")), want: `[{"at":["b","a","c"]}]`},
	{name: "all of nothing", req: oauthz.All(), want: `[{"at":[]}]`},
	{name: "all of any", req: oauthz.All(ab, oauthz.RequireAny("c", "d")), want: `[{"at":["a","c"]},{"at":["a","d"]},{"at":["b","c"]},{"at":["b","d"]}]`},
	{name: "all of the same any", req: oauthz.All(ab, ab), want: `[{"at":["a"]},{"at":["a","b"]},{"at":["b"]}]`},
	{name: "all in any in all", req: oauthz.All(scopeC, oauthz.Any(oauthz.All(scopeA, scopeB), oauthz.Require("d"))), want: `[{"at":["c","a","b"]},{"at":["c","d"]}]`},
	{name: "one scope twice in the names, not in the sets", req: oauthz.Any(oauthz.Require("a", "bc"), oauthz.Require("ab", "c")), want: `[{"at":["a","bc"]},{"at":["ab","c"]}]`},

	{name: "claim", req: admin, want: `[{"at":[]}]`},
	{name: "acr", req: gold, want: `[{"at":[]}]`},
	{name: "max age", req: recent, want: `[{"at":[]}]`},
	{name: "all with what cannot be said", req: oauthz.All(admin, scopeA, gold, recent), want: `[{"at":["a"]}]`},
	{name: "any with what cannot be said", req: oauthz.Any(scopeA, admin, gold), want: `[{"at":["a"]},{"at":[]}]`},
	{name: "any that differs in what cannot be said", req: oauthz.Any(oauthz.All(scopeA, gold), oauthz.All(scopeA, admin)), want: `[{"at":["a"]}]`},

	{name: "public", req: oauthz.Public(), want: `[]`},
	{name: "public or anonymous", req: oauthz.Public().OrAnonymous(), want: `[]`},
	{name: "any with public", req: oauthz.Any(scopeA, oauthz.Public()), want: `[]`},
	{name: "any with public, of too many", req: oauthz.Any(pairs(30), oauthz.Public()), want: `[]`},
	{name: "all of public", req: oauthz.All(oauthz.Public(), oauthz.Public()), want: `[]`},
	{name: "all with public", req: oauthz.All(oauthz.Public(), scopeA), want: `[{"at":["a"]}]`},
	{name: "all with any with public", req: oauthz.All(scopeA, oauthz.Any(scopeB, oauthz.Public())), want: `[{"at":["a","b"]},{"at":["a"]}]`},
	{name: "all of public and or anonymous", req: oauthz.All(oauthz.Public(), scopeA.OrAnonymous()), want: `[{"at":["a"]},{}]`},

	{name: "zero or anonymous", req: oauthz.Requirement{}.OrAnonymous(), want: `[{"at":[]},{}]`},
	{name: "scope or anonymous", req: scopeA.OrAnonymous(), want: `[{"at":["a"]},{}]`},
	{name: "claim or anonymous", req: admin.OrAnonymous(), want: `[{"at":[]},{}]`},
	{name: "any, the first or anonymous", req: oauthz.Any(scopeA.OrAnonymous(), scopeB), want: `[{"at":["a"]},{"at":["b"]},{}]`},
	{name: "all, one or anonymous", req: oauthz.All(scopeA.OrAnonymous(), scopeB), want: `[{"at":["a","b"]}]`},
	{name: "all, each or anonymous", req: oauthz.All(scopeA.OrAnonymous(), scopeB.OrAnonymous()), want: `[{"at":["a","b"]},{}]`},

	{name: "the same any 10,000 times", req: nested(10_000, ab, oauthz.All, ab), want: `[{"at":["a"]},{"at":["a","b"]},{"at":["b"]}]`},
	{name: "the same alternatives 10,000 times", req: nested(10_000, ab, oauthz.Any, ab), want: `[{"at":["a"]},{"at":["b"]}]`},
	{name: "100,000 all deep", req: nested(100_000, scopeA, oauthz.All, admin), want: `[{"at":["a"]}]`},
	{name: "100,000 any deep", req: nested(100_000, scopeA, oauthz.Any, scopeB), want: `[{"at":["a"]},{"at":["b"]}]`},
	{name: "100,000 parts", req: oauthz.Any(slices.Repeat([]oauthz.Requirement{scopeA, scopeB}, 50_000)...), want: `[{"at":["a"]},{"at":["b"]}]`},
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range openAPITests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			security, err := tt.req.OpenAPI("at")
			require.NoError(t, err)
			got, err := json.Marshal(security)
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
		})
	}
}

const (
	tooManyAlternatives = "oauthz: openapi: more than 64 alternatives"
	tooManyScopes       = "oauthz: openapi: more than 4096 scopes in an alternative"
)

// deepAll returns 100,000 scopes in Alls of two parts, each in the next.
func deepAll() oauthz.Requirement {
	deep := scopeA
	for _, req := range numbered(100_000) {
		deep = oauthz.All(req, deep)
	}
	return deep
}

// deepMixed returns 100,000 scopes in Alls of two parts, each in the next, and every second one in an Any of two parts.
func deepMixed() oauthz.Requirement {
	mixed := scopeA
	for i, req := range numbered(100_000) {
		if mixed = oauthz.All(req, mixed); i%2 == 0 {
			mixed = oauthz.Any(req, mixed)
		}
	}
	return mixed
}

type openAPIBoundTest struct {
	name         string
	req          oauthz.Requirement
	alternatives int
	err          string
}

// openAPIBoundTests returns requirements at both sides of each bound of OpenAPI.
func openAPIBoundTests() []openAPIBoundTest {
	all65 := oauthz.All(numbered(65)...)
	return []openAPIBoundTest{
		{name: "any of 64", req: oauthz.Any(numbered(64)...), alternatives: 64},
		{name: "any of 65", req: oauthz.Any(numbered(65)...), err: tooManyAlternatives},
		{name: "any of 64 and one of them again", req: oauthz.Any(append(numbered(64), oauthz.Require("s63"))...), alternatives: 64},
		{name: "any of 64, or anonymous", req: oauthz.Any(numbered(64)...).OrAnonymous(), alternatives: 65},
		{name: "any of 100,000", req: oauthz.Any(numbered(100_000)...), err: tooManyAlternatives},
		{name: "any of two of 33", req: oauthz.Any(oauthz.Any(numbered(33)...), oauthz.All(scopeA, oauthz.Any(numbered(33)...))), err: tooManyAlternatives},
		{name: "all of 6 pairs", req: pairs(6), alternatives: 64},
		{name: "all of 7 pairs", req: pairs(7), err: tooManyAlternatives},
		{name: "all of 30 pairs", req: pairs(30), err: tooManyAlternatives},
		{name: "all of 30 pairs in an any", req: oauthz.Any(scopeA, pairs(30)), err: tooManyAlternatives},
		{name: "all of 30 pairs in an all", req: oauthz.All(scopeA, pairs(30)), err: tooManyAlternatives},
		{name: "the first part of too many", req: oauthz.All(oauthz.Any(numbered(65)...), all65), err: tooManyAlternatives},
		{name: "the last part of too many", req: oauthz.All(all65, oauthz.Any(numbered(65)...)), err: tooManyAlternatives},
		{name: "the first of any of too many", req: oauthz.Any(pairs(7), scopeA), err: tooManyAlternatives},
		{name: "a product of few", req: oauthz.All(all65, oauthz.Any(numbered(64)...)), alternatives: 1},
		{name: "4096 scopes", req: oauthz.All(numbered(4096)...), alternatives: 1},
		{name: "4097 scopes", req: oauthz.All(numbered(4097)...), err: tooManyScopes},
		{name: "4096 scopes in each of 64", req: oauthz.All(pairs(6), oauthz.All(numbered(4090)...)), alternatives: 64},
		{name: "100,000 all deep, of 100,000 scopes", req: deepAll(), err: tooManyScopes},
		{name: "100,000 all and any deep, of 100,000 scopes", req: deepMixed(), err: tooManyAlternatives},
		{name: "100,000 scopes", req: oauthz.All(numbered(100_000)...), err: tooManyScopes},
	}
}

func TestOpenAPIBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range openAPIBoundTests() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			security, err := tt.req.OpenAPI("at")
			if tt.err != "" {
				assert.EqualError(t, err, tt.err)
				assert.Nil(t, security)
				return
			}
			require.NoError(t, err)
			assert.Len(t, security, tt.alternatives)
		})
	}
}

// The names of components (OpenAPI 3.1 §4.8.7). They are checked for public routes too.
func TestOpenAPISchemeName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scheme string
		ok     bool
	}{
		{scheme: "a", ok: true}, {scheme: "azAZ09._-", ok: true}, {scheme: ".", ok: true},
		{scheme: ""}, {scheme: " "}, {scheme: "a b"}, {scheme: "a/b"}, {scheme: "a\n"}, {scheme: "é"}, {scheme: "a\x00"}, {scheme: "a\xff"}, {scheme: "a\u0131"},
	} {
		for _, req := range []oauthz.Requirement{scopeA, oauthz.Public()} {
			security, err := req.OpenAPI(tt.scheme)
			if tt.ok {
				assert.NoError(t, err, "%q", tt.scheme)
				continue
			}
			assert.EqualError(t, err, fmt.Sprintf("oauthz: openapi: scheme %q: want a component name that matches ^[a-zA-Z0-9._-]+$", tt.scheme))
			assert.Nil(t, security)
		}
	}
}

func TestGuardOpenAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  oauthz.Config
		want string // JSON
	}{
		{name: "zero", want: `{"type":"http","scheme":"bearer","description":"An OAuth 2.0 access token in the Authorization header (RFC 6750), for the realm \"api\"."}`},
		{name: "realm", cfg: oauthz.Config{Realm: `say "hi" \o/`}, want: `{"type":"http","scheme":"bearer","description":"An OAuth 2.0 access token in the Authorization header (RFC 6750), for the realm \"say \\\"hi\\\" \\\\o/\"."}`},
		{name: "metadata", cfg: oauthz.Config{Realm: "orders", ResourceMetadataURL: "https://api.example.com/.well-known/oauth-protected-resource"}, want: `{"type":"http","scheme":"bearer","description":"An OAuth 2.0 access token in the Authorization header (RFC 6750), for the realm \"orders\". Who issues them: https://api.example.com/.well-known/oauth-protected-resource (RFC 9728)."}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(newGuard(t, tt.cfg).OpenAPI())
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
		})
	}
}

// A caller that changes a result changes neither the requirement nor the next result. OpenAPI is safe for concurrent use.
func TestOpenAPIConcurrently(t *testing.T) {
	t.Parallel()
	req := oauthz.Any(oauthz.Require("a", "b"), oauthz.All(scopeC, ab), admin).OrAnonymous()
	const want = `[{"at":["a","b"]},{"at":["c","a"]},{"at":["c","b"]},{"at":[]},{}]`
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				security, err := req.OpenAPI("at")
				assert.NoError(t, err)
				got, err := json.Marshal(security)
				assert.NoError(t, err)
				assert.Equal(t, want, string(got))
				for _, alternative := range security {
					for i := range alternative["at"] {
						alternative["at"][i] = "changed"
					}
					alternative["at"] = append(alternative["at"], "changed")
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, []string{"a", "b"}, req.Scopes())
}

// newOrdersGuard returns the Guard of an API, with an introspector that refuses every token.
func newOrdersGuard() *oauthz.Guard {
	guard, err := oauthz.New(oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			return nil, oauthz.ErrInvalidToken // in a real program localjwt or remote
		}),
		Realm: "orders",
	})
	if err != nil {
		log.Fatal(err)
	}
	return guard
}

// printDocument prints an OpenAPI document of one route, with a security scheme and the requirement of the route.
func printDocument(scheme, security any) {
	type object map[string]any
	document, err := json.MarshalIndent(object{
		"components": object{"securitySchemes": object{"accessToken": scheme}},
		"paths":      object{"/orders": object{"get": object{"security": security}}},
	}, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(document))
}

// A program builds its OpenAPI document from the requirements that its Guards enforce.
func ExampleRequirement_OpenAPI() {
	guard := newOrdersGuard()
	// The requirement of a route is a value, which guard.Protect enforces and the document describes.
	listOrders := oauthz.Any(oauthz.Require("orders:read"), oauthz.Require("orders:admin"))
	security, err := listOrders.OpenAPI("accessToken")
	if err != nil {
		log.Fatal(err)
	}
	printDocument(guard.OpenAPI(), security)
	// Output:
	// {
	//  "components": {
	//   "securitySchemes": {
	//    "accessToken": {
	//     "type": "http",
	//     "scheme": "bearer",
	//     "description": "An OAuth 2.0 access token in the Authorization header (RFC 6750), for the realm \"orders\"."
	//    }
	//   }
	//  },
	//  "paths": {
	//   "/orders": {
	//    "get": {
	//     "security": [
	//      {
	//       "accessToken": [
	//        "orders:read"
	//       ]
	//      },
	//      {
	//       "accessToken": [
	//        "orders:admin"
	//       ]
	//      }
	//     ]
	//    }
	//   }
	//  }
	// }
}
