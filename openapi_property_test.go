package oauthz_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// alphabet is small, so that sets of scopes coincide: there are 32 sets, so never too many alternatives.
var alphabet = []string{"a", "b", "c", "d", "e"}

// subset returns the scopes whose bits are set, from the last to the first if backwards.
func subset(bits int, backwards bool) []string {
	var scopes []string
	for i, s := range alphabet {
		if bits>>i&1 == 1 {
			scopes = append(scopes, s)
		}
	}
	if backwards {
		slices.Reverse(scopes)
	}
	return scopes
}

// grower makes a requirement from bytes. Any bytes make one.
type grower []byte

// choose takes a number below n from the next byte.
func (g *grower) choose(n int) int {
	if len(*g) == 0 {
		return 0
	}
	b := (*g)[0]
	*g = (*g)[1:]
	return int(b) % n
}

func (g *grower) grow(depth int) oauthz.Requirement {
	var req oauthz.Requirement
	kind := g.choose(7)
	if depth == 0 {
		kind %= 3
	}
	switch kind {
	case 0, 1:
		req = oauthz.Require(subset(g.choose(32), kind == 1)...)
	case 2:
		req = oauthz.Public()
	case 3, 4:
		req = oauthz.All(g.growParts(g.choose(4), depth)...)
	case 5:
		req = oauthz.Any(g.growParts(1+g.choose(3), depth)...)
	case 6:
		req = oauthz.RequireAny(subset(1+g.choose(31), false)...)
	}
	if g.choose(4) == 3 {
		req = req.OrAnonymous()
	}
	return req
}

func (g *grower) growParts(n, depth int) []oauthz.Requirement {
	parts := make([]oauthz.Requirement, n)
	for i := range parts {
		parts[i] = g.grow(depth - 1)
	}
	return parts
}

// checkOpenAPI: if a requirement has only scopes, a document lists exactly what Check and a Guard enforce.
func checkOpenAPI(t *testing.T, guard *oauthz.Guard, req oauthz.Requirement) {
	t.Helper()
	security, err := req.OpenAPI("at")
	require.NoError(t, err, req)
	require.NotNil(t, security, req)

	_, err = guard.Authorize(get("Bearer bad"), req) // which only what is public lets through
	require.Equal(t, err == nil, len(security) == 0, "%v is public: %v", req, security)

	var alternatives [][]string
	anonymous := len(security) == 0
	for i, alternative := range security {
		if len(alternative) == 0 {
			require.Equal(t, len(security)-1, i, "%v: {} is the last: %v", req, security)
			anonymous = true
			continue
		}
		require.Len(t, alternative, 1)
		require.NotNil(t, alternative["at"])
		alternatives = append(alternatives, alternative["at"])
	}
	require.Equal(t, req.Check(nil, epoch) == nil, anonymous, "%v lets anonymous through: %v", req, security)
	requireSets(t, alternatives)

	for bits := range 1 << len(alphabet) {
		scopes := oauthz.Scopes(subset(bits, false))
		listed := anonymous && len(security) == 0 || slices.ContainsFunc(alternatives, func(needed []string) bool {
			return !slices.ContainsFunc(needed, func(s string) bool { return !scopes.Has(s) })
		})
		token := parse(t, fmt.Sprintf(`{"scope":%q}`, scopes))
		require.Equal(t, req.Check(token, epoch) == nil, listed, "%v of a token with %q: %v", req, scopes, security)
	}
}

// requireSets: no scope is twice in a set, and no set twice in the list.
func requireSets(t *testing.T, sets [][]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, set := range sets {
		sorted := slices.Sorted(slices.Values(set))
		require.Len(t, slices.Compact(slices.Clone(sorted)), len(set), "%v", set)
		key := strings.Join(sorted, " ")
		require.False(t, seen[key], "%v is listed twice", set)
		seen[key] = true
	}
}

func TestOpenAPIListsWhatCheckEnforces(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		data := make(grower, 64)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		checkOpenAPI(t, guard, data.grow(4))
	}
}

func FuzzOpenAPI(f *testing.F) {
	for _, seed := range []string{"", "\x00\x03", "\x02\x03", "\x05\x02\x00\x01\x03\x02", "\x03\x02\x05\x01\x00\x01\x00\x01\x02\x00\x06\x05\x00", "\x03\x03\x06\x07\x00\x06\x07\x03\x01\x1f"} {
		f.Add([]byte(seed))
	}
	guard := newGuard(f, oauthz.Config{})
	f.Fuzz(func(t *testing.T, data []byte) {
		g := grower(data)
		checkOpenAPI(t, guard, g.grow(5))
	})
}
