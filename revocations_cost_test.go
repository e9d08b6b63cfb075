package oauthz_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/doubling"
)

// front returns n revocations of one key, none of which covers another: what is issued later is kept for less long.
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
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		doubling.Linear(t, 6_400, func(n int) func() {
			revs := front(n)
			return func() { require.NoError(t, revocations(t).Revoke(t.Context(), revs...)) }
		})
	})
	t.Run("one by one", func(t *testing.T) {
		t.Parallel()
		doubling.Linear(t, 6_400, func(n int) func() {
			revs := front(n)
			return func() {
				list := revocations(t)
				for _, rev := range revs {
					require.NoError(t, list.Revoke(t.Context(), rev))
				}
			}
		})
	})
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
