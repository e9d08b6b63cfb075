package oauthz_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// parseTokenTests are claims that ParseToken accepts.
var parseTokenTests = []struct {
	name, claims string
	want         oauthz.Token // its exported fields
}{
	{name: "nothing", claims: ` { } `},
	{
		name: "everything",
		claims: `{"iss":"i","sub":"s","aud":["x","y"],"exp":1,"nbf":2,"iat":3,"jti":"j","client_id":"c","sid":"d","username":"u",` +
			`"scope":"a b","acr":"gold","auth_time":4}`,
		want: oauthz.Token{
			Issuer: "i", Subject: "s", Audience: []string{"x", "y"}, ExpiresAt: at(1, 0), NotBefore: at(2, 0), IssuedAt: at(3, 0), ID: "j",
			ClientID: "c", SessionID: "d", Username: "u", Scopes: oauthz.Scopes{"a", "b"}, ACR: "gold", AuthTime: at(4, 0),
		},
	},
	{name: "audience of one", claims: `{"aud":"x"}`, want: oauthz.Token{Audience: []string{"x"}}},
	{name: "audience of none", claims: `{"aud":[]}`, want: oauthz.Token{Audience: []string{}}},
	{name: "escaped name and value", claims: `{"\u0069ss":"\u0061\/"}`, want: oauthz.Token{Issuer: "a/"}},
	{name: "names of another case are other names", claims: `{"ISS":"i","Sub":"s","i\u017f\u017f":"i","EXP":1}`},
	{name: "a date with a fraction", claims: `{"exp":1.5}`, want: oauthz.Token{ExpiresAt: at(1, 500_000_000)}},
	{name: "a date with an exponent", claims: `{"exp":1e9}`, want: oauthz.Token{ExpiresAt: at(1_000_000_000, 0)}},
	{name: "a date before 1970", claims: `{"nbf":-1}`, want: oauthz.Token{NotBefore: at(-1, 0)}},
	{name: "the first second", claims: `{"exp":-62135596799}`, want: oauthz.Token{ExpiresAt: at(-62135596799, 0)}},
	{name: "the last second", claims: `{"exp":253402300799}`, want: oauthz.Token{ExpiresAt: at(253402300799, 0)}},
	{name: "scp string", claims: `{"scp":"a b"}`, want: oauthz.Token{Scopes: oauthz.Scopes{"a", "b"}}},
	{name: "scp array", claims: `{"scp":["a","b"]}`, want: oauthz.Token{Scopes: oauthz.Scopes{"a", "b"}}},
	{name: "scp array with what is no scope", claims: `{"scp":["a","b c","","\""]}`, want: oauthz.Token{Scopes: oauthz.Scopes{"a"}}},
	{name: "scope and scp, no union", claims: `{"scp":["a"],"scope":"b"}`, want: oauthz.Token{Scopes: oauthz.Scopes{"b"}}},
	{name: "scp of the wrong type beside a scope", claims: `{"scp":7,"scope":"b"}`, want: oauthz.Token{Scopes: oauthz.Scopes{"b"}}},
	{name: "acr and auth_time of the wrong type", claims: `{"acr":2,"auth_time":"1"}`},
	{name: "jkt", claims: `{"cnf":{"jkt":"k"}}`, want: oauthz.Token{Confirmation: &oauthz.Confirmation{JWKThumbprint: "k"}}},
	{name: "x5t#S256", claims: `{"cnf":{"x5t#S256":"c"}}`, want: oauthz.Token{Confirmation: &oauthz.Confirmation{CertThumbprint: "c"}}},
	{name: "cnf of nothing is not none", claims: `{"cnf":{}}`, want: oauthz.Token{Confirmation: &oauthz.Confirmation{}}},
	{name: "a tenant is not a claim", claims: `{"tenant":"x","Tenant":"y"}`},
}

func TestParseToken(t *testing.T) {
	t.Parallel()
	for _, tt := range parseTokenTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, fields(&tt.want), fields(parse(t, tt.claims)))
		})
	}
}

func at(seconds, nanoseconds int64) time.Time { return time.Unix(seconds, nanoseconds).UTC() }

// fields are the exported fields of a token.
func fields(t *oauthz.Token) []any {
	return []any{
		t.ID, t.Issuer, t.Subject, t.ClientID, t.SessionID, t.Username, t.Tenant, t.ACR, t.Audience, t.Scopes,
		t.IssuedAt, t.NotBefore, t.ExpiresAt, t.AuthTime, t.Confirmation,
	}
}

type refusedClaims struct{ name, claims, want string }

// refusals are claims that ParseToken refuses, with the text of the error. They hold a canary, which the error must not
// contain.
func refusals() []refusedClaims {
	rows := []refusedClaims{
		{name: "no JSON", claims: `CANARY`, want: "oauthz: claims: "},
		{name: "an array", claims: `["CANARY"]`, want: "oauthz: claims: "},
		{name: "null", claims: `null`, want: "oauthz: claims: "},
		{name: "trailing data", claims: `{"CANARY":1}{}`, want: "oauthz: claims: "},
		{name: "a member twice", claims: `{"CANARY":1,"CANARY":1}`, want: "oauthz: claims: "},
		{name: "a member twice, once escaped", claims: `{"sub":"CANARY","\u0073ub":"CANARY"}`, want: "oauthz: claims: "},
		{name: "a member twice, below", claims: `{"x":[{"CANARY":1,"CANARY":2}]}`, want: "oauthz: claims: "},
		{name: "invalid UTF-8", claims: "{\"sub\":\"CANARY\xff\"}", want: "oauthz: claims: "},
		{name: "a lone surrogate", claims: `{"sub":"CANARY\ud800"}`, want: "oauthz: claims: "},
		{name: "too deep", claims: `{"CANARY":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, want: "oauthz: claims: "},
		{name: "an empty subject", claims: `{"sub":""}`, want: "oauthz: claim sub: "},
		{name: "an audience with a number", claims: `{"aud":["CANARY",7]}`, want: "oauthz: claim aud: "},
		{name: "scp with a number", claims: `{"scp":["CANARY",7]}`, want: "oauthz: claim scp: "},
		{name: "scp object", claims: `{"scp":{"CANARY":7}}`, want: "oauthz: claim scp: "},
		{name: "scope array", claims: `{"scope":["CANARY"]}`, want: "oauthz: claim scope: "},
		{name: "jkt of a number", claims: `{"cnf":{"jkt":7}}`, want: "oauthz: claim cnf: "},
		{name: "x5t#S256 null", claims: `{"cnf":{"x5t#S256":null}}`, want: "oauthz: claim cnf: "},
		{name: "cnf twice the same member", claims: `{"cnf":{"jkt":"CANARY","jkt":"CANARY"}}`, want: "oauthz: claims: "},
	}
	for _, name := range []string{"iss", "sub", "aud", "jti", "client_id", "sid", "username", "scope", "cnf"} {
		for _, value := range []string{"null", "7", "true"} {
			if name+value == "scopenull" { // grants no scope, and is not an error
				continue
			}
			rows = append(rows, refusedClaims{name + " " + value, fmt.Sprintf(`{%q:%s}`, name, value), "oauthz: claim " + name + ": "})
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		for _, value := range []string{
			"null", "true", `"CANARY"`, `"1700000000"`, "[1]", "{}",
			"1e19", "1e400", "-1e19", "253402300800", "-62135596800", "9223372036854775808", "18446744073709551617",
		} {
			rows = append(rows, refusedClaims{name + " " + value, fmt.Sprintf(`{%q:%s}`, name, value), "oauthz: claim " + name + ": "})
		}
	}
	return rows
}

func TestParseTokenRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token, err := oauthz.ParseToken([]byte(tt.claims))
			assert.Nil(t, token)
			require.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "CANARY")
		})
	}
}

func TestConfirmationMethods(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cnf  string
		want []string
	}{
		{cnf: `{}`},
		{cnf: `{"jkt":"k"}`, want: []string{"jkt"}},
		{cnf: `{"x5t#S256":"c","jkt":"k"}`, want: []string{"jkt", "x5t#S256"}},
		{cnf: `{"jwk":{"kty":"EC"},"kid":"1","JKT":"k"}`, want: []string{"jwk", "kid", "JKT"}},
		{cnf: `{"x5t#S256":"c","x5t":null}`, want: []string{"x5t#S256", "x5t"}},
	} {
		t.Run(tt.cnf, func(t *testing.T) {
			t.Parallel()
			token := parse(t, `{"cnf":`+tt.cnf+`}`)
			got := token.Confirmation.Methods()
			assert.Equal(t, tt.want, got)
			for i := range got {
				got[i] = "changed"
			}
			assert.Equal(t, tt.want, token.Confirmation.Methods(), "the list is the caller's own")
		})
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	token := parse(t, `{"iss":"i","sub":"s","aud":["x"],"exp":1.5,"iat":1e9,"scp":["a","b"],"acr":7,"cnf":{"jkt":"k","kid":[1]},
		"org":  {"id" : 1} ,"a.b":"dot","null":null,"\u0065":"escaped","token_sha256":"forged"}`)
	for _, tt := range []struct {
		name, claim, want string // want "": there is none
	}{
		{name: "as it came", claim: "org", want: `{"id" : 1}`},
		{name: "the name is exact", claim: "ORG"},
		{name: "a name is no path", claim: "org.id"},
		{name: "a name with a dot", claim: "a.b", want: `"dot"`},
		{name: "a name that was escaped", claim: "e", want: `"escaped"`},
		{name: "null is a claim", claim: "null", want: "null"},
		{name: "standard", claim: "iss", want: `"i"`},
		{name: "an audience of one", claim: "aud", want: `"x"`},
		{name: "a date with a fraction", claim: "exp", want: "1.5"},
		{name: "a date with an exponent", claim: "iat", want: "1000000000"},
		{name: "scope from scp", claim: "scope", want: `"a b"`},
		{name: "scp", claim: "scp", want: `["a","b"]`},
		{name: "a standard claim that was left out", claim: "acr"},
		{name: "a standard claim that is missing", claim: "jti"},
		{name: "cnf with what is not known", claim: "cnf", want: `{"jkt":"k","kid":[1]}`},
		{name: "what only an introspector says", claim: oauthz.MatchTokenHash},
		{name: "missing", claim: "none"},
		{name: "no name", claim: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := token.Claim(tt.claim)
			assert.Equal(t, tt.want != "", ok)
			assert.Equal(t, tt.want, string(got))
		})
	}
}

// Claim returns the value that an introspector or a handler has set.
func TestClaimSeesTheFields(t *testing.T) {
	t.Parallel()
	token := parse(t, `{"sub":"s","aud":"x","scope":"a"}`)
	token.Subject, token.Audience, token.Scopes = `"`, []string{"y", "z"}, nil
	token.Username, token.Confirmation = "u", &oauthz.Confirmation{JWKThumbprint: "k", CertThumbprint: "c"}
	token.ExpiresAt = time.Unix(7, 250_000_000)
	for claim, want := range map[string]string{
		"sub": `"\""`, "aud": `["y","z"]`, "scope": "", "username": `"u"`, "cnf": `{"jkt":"k","x5t#S256":"c"}`, "exp": "7.25", "iss": "",
	} {
		got, ok := token.Claim(claim)
		assert.Equal(t, want, string(got), claim)
		assert.Equal(t, want != "", ok, claim)
	}

	token = parse(t, `{"cnf":{"jkt":"k","kid":[1]}}`)
	token.Confirmation.JWKThumbprint, token.Confirmation.CertThumbprint = "", "c"
	got, _ := token.Claim("cnf")
	assert.Equal(t, `{"kid":[1],"x5t#S256":"c"}`, string(got))
}

func TestParseScopes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, scopes string
		want         oauthz.Scopes
		bad          bool
	}{
		{name: "none", scopes: ""},
		{name: "spaces alone", scopes: "   "},
		{name: "two", scopes: "a b", want: oauthz.Scopes{"a", "b"}},
		{name: "too many spaces", scopes: "  a   b ", want: oauthz.Scopes{"a", "b"}},
		{name: "every character", scopes: "!#[]~ :/", want: oauthz.Scopes{"!#[]~", ":/"}},
		{name: "tab", scopes: "a\tb", bad: true},
		{name: "quote", scopes: `a "`, bad: true},
		{name: "backslash", scopes: `\`, bad: true},
		{name: "DEL", scopes: "\x7f", bad: true},
		{name: "outside ASCII", scopes: "é", bad: true},
		{name: "as many as there may be", scopes: strings.Repeat("x ", 4096), want: strings.Fields(strings.Repeat("x ", 4096))},
		{name: "too many", scopes: strings.Repeat("x ", 4097), bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauthz.ParseScopes(tt.scopes)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.bad, err != nil)
		})
	}
	assert.Equal(t, "a b", oauthz.Scopes{"a", "b"}.String())
	assert.True(t, oauthz.Scopes{"a", "b"}.Has("b"))
	assert.False(t, oauthz.Scopes{"ab"}.Has("a"))
}

// FuzzParseToken: ParseToken never panics, refuses all that encoding/json refuses, keeps every claim unchanged, and
// decodes the claims that are not standard as encoding/json does.
func FuzzParseToken(f *testing.F) {
	for _, tt := range scopeTests {
		f.Add(tt.claims[:min(len(tt.claims), 200)])
	}
	for _, tt := range requirementTests {
		f.Add(tt.claims[:min(len(tt.claims), 200)])
	}
	f.Add(`{"iss":"i","aud":["x"],"exp":1.5,"cnf":{"jkt":"k","x":1},"\u0065":[1,{"a":"\ud83d\ude00\u2028<"}],"acr":7}`)
	f.Fuzz(func(t *testing.T, claims string) {
		token, err := oauthz.ParseToken([]byte(claims))
		if err != nil {
			require.Nil(t, token)
			return
		}
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(claims), &members))
		others := map[string]any{}
		overflow := false
		for name, want := range members {
			if standard[name] {
				continue
			}
			got, ok := token.Claim(name)
			require.True(t, ok, "claim %q", name)
			require.Equal(t, string(want), string(got))
			var value any
			overflow = json.Unmarshal(want, &value) != nil || overflow // 1e400 is JSON, and no float64
			others[name] = value
		}
		decoded, err := oauthz.ClaimsAs[map[string]any](token)
		require.Equal(t, overflow, err != nil)
		if !overflow {
			maps.DeleteFunc(decoded, func(name string, _ any) bool { return standard[name] })
			require.Equal(t, others, decoded)
		}
		requireSame(t, token, token.Clone())
	})
}

// standard are the claims that Claim makes from the fields, or never returns.
var standard = map[string]bool{
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true, "jti": true, "client_id": true, "sid": true,
	"username": true, "scope": true, "cnf": true, "acr": true, "auth_time": true, oauthz.MatchTokenHash: true,
}

// requireSame compares all fields and claims of two tokens.
func requireSame(t *testing.T, want, got *oauthz.Token) {
	t.Helper()
	w, g := *want, *got
	for _, token := range []*oauthz.Token{&w, &g} { // none and an empty list say the same
		token.Audience, token.Scopes = append([]string{}, token.Audience...), append(oauthz.Scopes{}, token.Scopes...)
	}
	require.Equal(t, fields(&w), fields(&g))
	for name := range standard {
		wantClaim, _ := want.Claim(name)
		gotClaim, _ := got.Claim(name)
		require.Equal(t, string(wantClaim), string(gotClaim), name)
	}
	var wantAll, gotAll json.RawMessage
	require.NoError(t, want.Decode(&wantAll))
	require.NoError(t, got.Decode(&gotAll))
	require.Equal(t, string(wantAll), string(gotAll))
}
