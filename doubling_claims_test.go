package oauthz_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/doubling"
)

// maxClaimBytes is the largest answer of an introspection endpoint that remote reads by default. A JWT has at most 16 KiB.
const maxClaimBytes = 256 << 10

// standardNames are the claims that ParseToken reads, and roles, which it does not read.
var standardNames = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "username", "scope", "scp", "cnf", "acr", "auth_time", "roles",
}

// The issuer, or an attacker, chooses every byte of the claims.
func TestCostOfClaimsIsLinear(t *testing.T) {
	t.Parallel()
	for name, object := range doubling.Objects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxClaimBytes, func(n int) func() {
				claims := []byte(object(n))
				return func() { _, _ = oauthz.ParseToken(claims) }
			})
		})
	}
	for name, value := range doubling.Values() {
		t.Run("all claims: "+name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxClaimBytes, func(n int) func() {
				var documents [][]byte
				for _, claim := range standardNames {
					documents = append(documents, []byte(`{"`+claim+`":`+value(n/len(standardNames))+`}`))
				}
				return func() {
					for _, claims := range documents {
						_, _ = oauthz.ParseToken(claims)
					}
				}
			})
		})
	}
}

// account is a type that a handler decodes claims into: it has each kind of field, and contains itself.
type account struct {
	Roles  []string           `json:"roles"`
	Other  any                `json:"a"`
	Nested map[string]account `json:"nested"`
	More   []account          `json:"more"`
	Raw    json.RawMessage    `json:"raw"`
}

// longTokens return the claims of n bytes of a token that is accepted.
var longTokens = map[string]func(n int) string{
	"scopes":          func(n int) string { return `{"scope":"` + strings.Repeat("a ", n/2) + `b"}` },
	"roles":           func(n int) string { return `{"roles":["` + strings.Repeat(`a","`, n/4) + `b"]}` },
	"roles in escape": func(n int) string { return `{"roles":["` + strings.Repeat(`\u0061","`, n/9) + `b"]}` },
	"audiences":       func(n int) string { return `{"aud":["` + strings.Repeat(`a","`, n/4) + `b"]}` },
	"bindings":        func(n int) string { return `{"cnf":` + doubling.Objects()["members"](n) + `}` },
	"claims":          func(n int) string { return doubling.Objects()["members"](n) },
	"objects":         func(n int) string { return `{"more":[` + strings.Repeat(`{"a":{"b":1}},`, n/14) + `{}]}` },
	"nested": func(n int) string {
		return `{"nested":{"x":{"more":[` + strings.Repeat(`{"A":1,"a":2},`, n/14) + `{}]}}}`
	},
	"unknown members": func(n int) string { return `{"more":[` + doubling.Objects()["names with escapes"](n) + `]}` },
}

// The Guard and a handler look up claims, decode them, copy them, and check requirements.
func TestCostOfUsingATokenIsLinear(t *testing.T) {
	t.Parallel()
	req := oauthz.All(
		oauthz.RequireAny("absent", "other"), oauthz.RequireClaim("roles", "absent", "b"), oauthz.RequireACR("gold"),
	)
	for name, claims := range longTokens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxClaimBytes, func(n int) func() {
				token := parse(t, claims(n))
				return func() {
					_ = req.Check(token, epoch)
					_ = token.Clone().Size()
					_, _ = token.Claim("cnf")
					_, _ = token.Claim("absent")
					_, _ = oauthz.ClaimsAs[account](token)
					_, _ = oauthz.ClaimsAs[map[string]any](token)
				}
			})
		})
	}
}

// A list in memory compares each element of a claim that is an array. (For two arrays see TestRevokedOfArraysTakesLinearTime.)
func TestCostOfLookingForARevocationIsLinear(t *testing.T) {
	t.Parallel()
	list := &oauthz.MemoryRevocations{}
	require.NoError(t, list.Revoke(context.Background(),
		oauthz.Revocation{Match: map[string]any{"iss": "i", "roles": "x"}},
		oauthz.Revocation{Match: map[string]any{"iss": "i", "aud": "x"}},
		oauthz.Revocation{Match: map[string]any{"iss": "i", "scope": "x"}},
		oauthz.Revocation{Match: map[string]any{"iss": "i", "cnf": "x"}},
		oauthz.Revocation{Match: map[string]any{"iss": "i", "1": 1}},
	))
	for name, claims := range longTokens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxClaimBytes/4, func(n int) func() { // more claims outgrow the processor's cache
				token := parse(t, claims(n))
				token.Issuer = "i"
				return func() {
					revoked, err := list.Revoked(context.Background(), token)
					if err != nil || revoked && name != "claims" {
						t.Error(revoked, err)
					}
				}
			})
		})
	}
}

// Administrators send revocations as JSON, and so does the log of another instance.
func TestCostOfARevocationIsLinear(t *testing.T) {
	t.Parallel()
	for name, object := range doubling.Objects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxClaimBytes, func(n int) func() {
				match := []byte(`{"match":` + object(n) + `}`)
				whole := []byte(object(n))
				return func() {
					for _, doc := range [][]byte{match, whole} {
						var rev oauthz.Revocation
						if rev.UnmarshalJSON(doc) == nil {
							_ = rev.Check()
						}
					}
				}
			})
		})
	}
}

func TestCostOfScopesIsLinear(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{"one": "a", "many": "a ", "spaces": " ", "others": "é ", "quotes": `"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxFieldBytes, func(n int) func() {
				scopes := strings.Repeat(part, n/len(part))
				return func() { _, _ = oauthz.ParseScopes(scopes) }
			})
		})
	}
}
