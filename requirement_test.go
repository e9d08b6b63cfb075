package oauthz_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// scopeTests are claims of tokens, on a route that requires the scope "read".
var scopeTests = []struct {
	name, claims string
	want         answer
}{
	{name: "alone", claims: `{"scope":"read"}`, want: allowed},
	{name: "among others", claims: `{"scope":"write read"}`, want: allowed},
	{name: "twice", claims: `{"scope":"read read"}`, want: allowed},
	{name: "spaces between and around", claims: `{"scope":"  write  read "}`, want: allowed},
	{name: "tab", claims: `{"scope":"write\tread"}`, want: lacksScope("read")},
	{name: "line feed", claims: `{"scope":"write\nread"}`, want: lacksScope("read")},
	{name: "NBSP", claims: `{"scope":"write\u00a0read"}`, want: lacksScope("read")},
	{name: "comma", claims: `{"scope":"write,read"}`, want: lacksScope("read")},
	{name: "tab after it", claims: `{"scope":"read\t"}`, want: lacksScope("read")},
	{name: "upper case", claims: `{"scope":"READ"}`, want: lacksScope("read")},
	{name: "title case", claims: `{"scope":"Read"}`, want: lacksScope("read")},
	{name: "Cyrillic a", claims: `{"scope":"re\u0430d"}`, want: lacksScope("read")},
	{name: "zero-width space", claims: `{"scope":"read\u200b"}`, want: lacksScope("read")},
	{name: "combining accent", claims: `{"scope":"read\u0301"}`, want: lacksScope("read")},
	{name: "NUL", claims: `{"scope":"read\u0000"}`, want: lacksScope("read")},
	{name: "longer", claims: `{"scope":"readwrite"}`, want: lacksScope("read")},
	{name: "below it", claims: `{"scope":"read:all read."}`, want: lacksScope("read")},
	{name: "suffix", claims: `{"scope":"xread"}`, want: lacksScope("read")},
	{name: "prefix", claims: `{"scope":"rea r"}`, want: lacksScope("read")},
	{name: "wildcards", claims: `{"scope":"* read* admin:*"}`, want: lacksScope("read")},
	{name: "empty", claims: `{"scope":""}`, want: lacksScope("read")},
	{name: "missing", claims: `{}`, want: lacksScope("read")},
	{name: "scp array", claims: `{"scp":["write","read"]}`, want: allowed},
	{name: "scp string", claims: `{"scp":"write read"}`, want: allowed},
	{name: "scp array of one that holds two", claims: `{"scp":["write read"]}`, want: lacksScope("read")},
	{name: "scope array", claims: `{"scope":["read"]}`, want: badToken},
	{name: "scopes", claims: `{"scopes":"read"}`, want: lacksScope("read")},
	{name: "SCOPE", claims: `{"SCOPE":"read"}`, want: lacksScope("read")},
	{name: "number", claims: `{"scope":7}`, want: badToken},
	{name: "object", claims: `{"scope":{"read":true}}`, want: badToken},
	{name: "true", claims: `{"scope":true}`, want: badToken},
	{name: "nested array", claims: `{"scp":[["read"]]}`, want: badToken},
	{name: "array with a number", claims: `{"scp":["read",7]}`, want: badToken},
	{name: "scope and scp are not joined", claims: `{"scope":"write","scp":["read"]}`, want: lacksScope("read")},
	{name: "an empty scope is one", claims: `{"scope":"","scp":["read"]}`, want: lacksScope("read")},
	{name: "quote", claims: `{"scope":"read\""}`, want: lacksScope("read")},
	{name: "backslash", claims: `{"scope":"\\read"}`, want: lacksScope("read")},
	{name: "100,000 scopes", claims: `{"scope":"` + strings.Repeat("x ", 100_000) + `"}`, want: lacksScope("read")},
	{name: "first of 100,000", claims: `{"scope":"read ` + strings.Repeat("x ", 100_000) + `"}`, want: allowed},
}

func TestScopesAreEnforced(t *testing.T) {
	t.Parallel()
	for _, tt := range scopeTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{Introspector: knows(tt.claims)})
			tt.want.check(t, serve(t, guard, oauthz.Require("read"), withGoodToken()))
		})
	}
}

var (
	gold           = oauthz.RequireACR("gold", "platinum")
	recent         = oauthz.RequireMaxAge(5 * time.Minute)
	admin          = oauthz.RequireClaim("roles", "admin", "root")
	scopeA, scopeB = oauthz.Require("a"), oauthz.Require("b")
)

// requirementTests are requirements and claims, with the answer at epoch.
var requirementTests = []struct {
	name   string
	req    oauthz.Requirement
	claims string // "": no token
	want   answer
}{
	{name: "Require() is any valid token", req: oauthz.Require(), claims: `{}`, want: allowed},
	{name: "Require() does not allow anonymous requests", req: oauthz.Require(), want: noToken},
	{name: "the zero value is any valid token", claims: `{}`, want: allowed},
	{name: "the zero value does not allow anonymous requests", want: noToken},
	{name: "all of two, one", req: oauthz.Require("a", "b"), claims: `{"scope":"a"}`, want: lacksScope("a b")},
	{name: "all of two, both", req: oauthz.Require("a", "b"), claims: `{"scope":"b a"}`, want: allowed},
	{name: "any of two, one", req: oauthz.RequireAny("a", "b"), claims: `{"scope":"b"}`, want: allowed},
	{name: "any of two, none", req: oauthz.RequireAny("a", "b"), claims: `{"scope":"c"}`, want: lacksScope("a")},
	{name: "403 and not 401", req: scopeA, claims: `{"scope":"b"}`, want: lacksScope("a")},
	{name: "acr missing", req: gold, claims: `{}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "acr too low", req: gold, claims: `{"acr":"silver"}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "acr in upper case", req: gold, claims: `{"acr":"GOLD"}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "acr array", req: gold, claims: `{"acr":["gold"]}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "acr of two", req: gold, claims: `{"acr":"gold platinum"}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "acr enough", req: gold, claims: `{"acr":"platinum"}`, want: allowed},
	{name: "auth_time missing", req: recent, claims: `{}`, want: stepUp(`max_age="300"`)},
	{name: "auth_time just good", req: recent, claims: authTime(-300), want: allowed},
	{name: "auth_time too old", req: recent, claims: authTime(-301), want: stepUp(`max_age="300"`)},
	{name: "auth_time zero", req: recent, claims: `{"auth_time":0}`, want: stepUp(`max_age="300"`)},
	{name: "auth_time string", req: recent, claims: `{"auth_time":"` + fmt.Sprint(epoch.Unix()) + `"}`, want: stepUp(`max_age="300"`)},
	{name: "auth_time overflow", req: recent, claims: `{"auth_time":1e19}`, want: stepUp(`max_age="300"`)},
	{name: "auth_time ahead, within the leeway", req: recent, claims: authTime(300), want: allowed},
	{name: "auth_time in the future", req: recent, claims: authTime(301), want: stepUp(`max_age="300"`)},
	{name: "claim of a string", req: admin, claims: `{"roles":"root"}`, want: allowed},
	{name: "claim of an array", req: admin, claims: `{"roles":["clerk","admin"]}`, want: allowed},
	{name: "claim missing", req: admin, claims: `{}`, want: lacksClaim},
	{name: "claim of another value", req: admin, claims: `{"roles":"administrator"}`, want: lacksClaim},
	{name: "claim of two in a string", req: admin, claims: `{"roles":"clerk admin"}`, want: lacksClaim},
	{name: "claim of another case", req: admin, claims: `{"roles":"ADMIN"}`, want: lacksClaim},
	{name: "claim of another name", req: admin, claims: `{"ROLES":"admin","Roles":"admin"}`, want: lacksClaim},
	{name: "claim of an object", req: admin, claims: `{"roles":{"admin":true}}`, want: lacksClaim},
	{name: "claim of a nested array", req: admin, claims: `{"roles":[["admin"]]}`, want: lacksClaim},
	{name: "claim null", req: admin, claims: `{"roles":null}`, want: lacksClaim},
	{name: "claim true is no string", req: oauthz.RequireClaim("ok", "true"), claims: `{"ok":true}`, want: lacksClaim},
	{name: "claim 7 is no string", req: oauthz.RequireClaim("n", "7"), claims: `{"n":7}`, want: lacksClaim},
	{name: "claim with an escape", req: admin, claims: `{"r\u006fles":"\u0061dmin"}`, want: allowed},
	{name: "a name is not a path", req: oauthz.RequireClaim("a.b", "x"), claims: `{"a":{"b":"x"}}`, want: lacksClaim},
	{name: "a name with a dot", req: oauthz.RequireClaim("a.b", "x"), claims: `{"a.b":"x"}`, want: allowed},
	{name: "a claim of 1 MB", req: admin, claims: `{"roles":["` + strings.Repeat(`x","`, 250_000) + `admin"]}`, want: allowed},
	{name: "standard claim", req: oauthz.RequireClaim("aud", "y"), claims: `{"aud":["x","y"]}`, want: allowed},
	{name: "a claim that only the introspector makes", req: oauthz.RequireClaim(oauthz.MatchTokenHash, "x"), claims: `{"token_sha256":"x"}`, want: lacksClaim},

	{name: "all: met", req: oauthz.All(scopeA, admin, gold), claims: `{"scope":"a","roles":"admin","acr":"gold"}`, want: allowed},
	{name: "all: what is needed, met or not", req: oauthz.All(scopeA, scopeB), claims: `{"scope":"a"}`, want: lacksScope("a b")},
	{name: "all: a scope once", req: oauthz.All(scopeA, oauthz.Require("b", "a")), claims: `{}`, want: lacksScope("a b")},
	{name: "all: a claim before a scope", req: oauthz.All(scopeA, admin), claims: `{}`, want: lacksClaim},
	{name: "all: a claim before a login", req: oauthz.All(gold, admin), claims: `{}`, want: lacksClaim},
	{name: "all: a scope before a login", req: oauthz.All(gold, scopeA), claims: `{}`, want: lacksScope("a")},
	{name: "all: a login, where the rest is met", req: oauthz.All(scopeA, gold), claims: `{"scope":"a"}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "all: the shorter age", req: oauthz.All(oauthz.RequireMaxAge(time.Hour), recent), claims: `{}`, want: stepUp(`max_age="300"`)},
	{name: "all: the shorter age, whatever the order", req: oauthz.All(recent, oauthz.RequireMaxAge(time.Hour)), claims: `{}`, want: stepUp(`max_age="300"`)},
	{name: "all: the acr values that meet both", req: oauthz.All(gold, oauthz.RequireACR("x", "platinum")), claims: `{"acr":"gold"}`, want: stepUp(`acr_values="platinum"`)},
	{name: "all: the first list of acr values, where none meets both", req: oauthz.All(gold, oauthz.RequireACR("x")), claims: `{"acr":"gold"}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "all: of nothing is any valid token", req: oauthz.All(), claims: `{}`, want: allowed},
	{name: "all: of nothing does not allow anonymous requests", req: oauthz.All(), want: noToken},
	{name: "all: public is always met", req: oauthz.All(oauthz.Public(), scopeA), claims: `{"scope":"a"}`, want: allowed},
	{name: "all: public does not open the rest", req: oauthz.All(oauthz.Public(), scopeA), want: asks("a")},
	{name: "all: scopes of every part", req: oauthz.All(scopeA, oauthz.Any(scopeB, scopeA), admin), want: asks("a b")},

	{name: "any: the first", req: oauthz.Any(scopeA, admin), claims: `{"scope":"a"}`, want: allowed},
	{name: "any: the last", req: oauthz.Any(scopeA, admin), claims: `{"roles":"admin"}`, want: allowed},
	{name: "any that fails: the first", req: oauthz.Any(oauthz.Require("a", "b"), oauthz.Require("c")), claims: `{}`, want: lacksScope("a b")},
	{name: "any that fails: the first, a claim", req: oauthz.Any(admin, scopeA), claims: `{}`, want: lacksClaim},
	{name: "any that fails: a login alone would do", req: oauthz.Any(scopeA, gold), claims: `{}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "any that fails: the first such login", req: oauthz.Any(scopeA, recent, gold), claims: `{}`, want: stepUp(`max_age="300"`)},
	{name: "any that fails: a login alone would not do", req: oauthz.Any(scopeA, oauthz.All(scopeB, gold)), claims: `{}`, want: lacksScope("a")},
	{name: "any that fails: a login and a scope that is there", req: oauthz.Any(scopeA, oauthz.All(scopeB, gold)), claims: `{"scope":"b"}`, want: stepUp(`acr_values="gold platinum"`)},
	{name: "any in all: the alternative that is met", req: oauthz.All(oauthz.Any(scopeA, scopeB), oauthz.Require("c")), claims: `{"scope":"b"}`, want: lacksScope("b c")},
	{name: "any in any", req: oauthz.Any(oauthz.Any(scopeA, scopeB), gold), claims: `{"scope":"b"}`, want: allowed},
	{name: "any with public is public", req: oauthz.Any(scopeA, oauthz.Public()), want: allowed},
	{name: "any: asks for the first", req: oauthz.Any(scopeB, scopeA), want: asks("b")},
}

func authTime(seconds int64) string { return fmt.Sprintf(`{"auth_time":%d}`, epoch.Unix()+seconds) }

func TestRequirement(t *testing.T) {
	t.Parallel()
	for _, tt := range requirementTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, token := get(), (*oauthz.Token)(nil)
			if tt.claims != "" {
				r, token = withGoodToken(), parse(t, tt.claims)
			}
			guard := newGuard(t, oauthz.Config{Introspector: knows(tt.claims), Now: atEpoch})
			tt.want.check(t, serve(t, guard, tt.req, r))

			// Check is the same decision, without a Guard.
			err := tt.req.Check(token, epoch)
			if tt.want == allowed {
				assert.NoError(t, err)
				return
			}
			var e *oauthz.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, tt.want.status, e.Status)
			var body struct{ Error string }
			require.NoError(t, json.Unmarshal([]byte(tt.want.body), &body))
			assert.Equal(t, body.Error, e.Code)
		})
	}
}
