package oauthz_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/doubling"
)

// front returns n revocations of one key, none of which covers another: the later its IssuedUntil, the earlier its Expires.
func front(n int) []oauthz.Revocation {
	revs := make([]oauthz.Revocation, n)
	for i := range revs {
		revs[i] = oauthz.Revocation{
			Match:       match{"iss": "i", "sub": "s"},
			IssuedUntil: epoch.Add(time.Duration(i) * time.Second),
			Expires:     epoch.Add(240*time.Hour - time.Duration(i)*time.Second),
		}
	}
	return revs
}

// A client that revokes again and again costs each instance no square: not when it revokes, and not when an instance reads the log.
func TestRevokeOfOneKeyTakesLinearTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		atOnce   bool
		covering int // each so many, one that covers those before it; 0: none
	}{
		{name: "at once", atOnce: true},
		{name: "one by one"},
		{name: "each covers the one before", covering: 1},
		{name: "one covers many", covering: 60},
		{name: "one covers more than are kept", covering: 100, atOnce: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, 6_400, func(n int) func() {
				revs := front(n)
				for i := range revs {
					if tt.covering > 0 && i%tt.covering == 0 {
						revs[i].Expires = revs[0].Expires
					}
				}
				size := 1
				if tt.atOnce {
					size = n
				}
				return func() {
					list := revocations(t)
					for batch := range slices.Chunk(revs, size) {
						require.NoError(t, list.Revoke(t.Context(), batch...))
					}
				}
			})
		})
	}
}

// elements is a JSON array of n strings.
func elements(prefix string, n int) string {
	return `["` + strings.Join(numbers(prefix, n), `","`) + `"]`
}

// Claims that are arrays cost their length, and at most a quick look at each entry, never the product of their lengths.
func TestRevokedOfArraysTakesLinearTime(t *testing.T) {
	t.Parallel()
	list := revocations(t)
	for i := range 50_000 {
		require.NoError(t, list.Revoke(t.Context(), by(
			match{"iss": "i", "a": fmt.Sprint("a", i), "b": "c"}, match{"iss": "i", "g": fmt.Sprint("g", i)},
			match{"iss": "i", "a": fmt.Sprint("a", i), "b": "x", "c": fmt.Sprint("c", i)},
		)...))
	}
	for _, tt := range []struct {
		name, claims string // of which %[1]s and %[2]s are arrays of other values than the entries have, and %[3]s of these
	}{
		{"one", `{"iss":"i","g":%[1]s}`},
		{"two", `{"iss":"i","a":%[1]s,"b":%[2]s}`},
		{"two, one of them with what entries name", `{"iss":"i","a":%[3]s,"b":%[2]s}`},
		{"two, and all entries name the value of one", `{"iss":"i","a":%[1]s,"b":["c"]}`},
		{"three", `{"iss":"i","a":%[1]s,"b":%[2]s,"c":%[1]s}`},
		{"three, one of them with what entries name", `{"iss":"i","a":%[3]s,"b":%[2]s,"c":%[1]s}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, 1_400, func(n int) func() {
				token := parse(t, fmt.Sprintf(tt.claims+"%.0[3]s%.0[2]s%.0[1]s", elements("x", n), elements("y", n), elements("a", n)))
				return func() {
					revoked, err := list.Revoked(t.Context(), token)
					require.NoError(t, err)
					require.False(t, revoked)
				}
			})
		})
	}
}

// The rest that a list does takes linear time in the number of entries, or in the length of one.
func TestRevocationsTakeLinearTime(t *testing.T) {
	t.Parallel()
	numbered := func(n int, rev func(i int) match) []oauthz.Revocation {
		matches := make([]match, n)
		for i := range matches {
			matches[i] = rev(i)
		}
		return by(matches...)
	}
	revoke := func(rev func(i int) match) func(n int) func() {
		return func(n int) func() {
			revs := numbered(n, rev)
			return func() { require.NoError(t, revocations(t).Revoke(t.Context(), revs...)) }
		}
	}
	for name, tt := range map[string]struct {
		most    int
		prepare func(n int) func()
	}{
		"a batch":                          {10_000, revoke(func(i int) match { return match{"iss": "i", "jti": fmt.Sprint(i)} })},
		"one subject, and a condition":     {10_000, revoke(func(i int) match { return match{"iss": "i", "sub": "s", "x": i} })},
		"one subject, and many conditions": {4_000, revoke(func(i int) match { return match{"iss": "i", "sub": "s", fmt.Sprint("x", i): 1} })},
		"many issuers":                     {10_000, revoke(func(i int) match { return match{"iss": fmt.Sprint(i), "sub": "s"} })},
		"one entry again and again":        {10_000, revoke(func(int) match { return match{"iss": "i", "sub": "s"} })},
		"All": {10_000, func(n int) func() {
			list := revocations(t, append(numbered(n, func(i int) match { return match{"iss": "i", "jti": fmt.Sprint(i)} }), front(n)...)...)
			return func() {
				all, err := list.All(oauthz.Query{Match: match{"jti": "none"}})
				require.NoError(t, err)
				require.Empty(t, slices.Collect(all))
			}
		}},
		"JSON of many members": {4_000, func(n int) func() {
			m := match{"iss": "i"}
			for i := range n {
				m[fmt.Sprint("x", i)] = i
			}
			rev := by(m)[0]
			return func() {
				doc, err := rev.MarshalJSON()
				require.NoError(t, err)
				require.NoError(t, new(oauthz.Revocation).UnmarshalJSON(doc))
			}
		}},
		"JSON of a long value": {50_000, func(n int) func() {
			doc := []byte(`{"match":{"iss":"i","n":` + strings.Repeat("9", n) + `e-` + fmt.Sprint(n) + `}}`)
			return func() {
				var rev oauthz.Revocation
				require.NoError(t, rev.UnmarshalJSON(doc))
				_, err := rev.MarshalJSON()
				require.NoError(t, err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, tt.most, tt.prepare)
		})
	}
}

// BenchmarkRevokeOfOneKey adds 20,000 entries of one key, none of which covers another.
func BenchmarkRevokeOfOneKey(b *testing.B) {
	revs := front(20_000)
	for b.Loop() {
		var list oauthz.Revocations
		for _, rev := range revs {
			require.NoError(b, list.Revoke(b.Context(), rev))
		}
	}
}

// BenchmarkRevokedOfTwoArrays looks a token up whose two arrays name a million pairs of values, in a list of a million of such pairs.
func BenchmarkRevokedOfTwoArrays(b *testing.B) {
	list := &oauthz.Revocations{}
	for i := range benchRevocations {
		require.NoError(b, list.Revoke(b.Context(), by(match{"iss": "i", "a": fmt.Sprint("a", i), "b": "c"})...))
	}
	for _, n := range []int{30, 100, 350, 1_400} {
		token, err := oauthz.ParseToken(fmt.Appendf(nil, `{"iss":"i","a":%s,"b":%s}`, elements("x", n), elements("y", n)))
		require.NoError(b, err)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if revoked, _ := list.Revoked(b.Context(), token); revoked {
					b.Fatal("revoked")
				}
			}
		})
	}
}
