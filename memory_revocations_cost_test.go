package oauthz_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/doubling"
)

// A client that revokes again and again must not cost quadratic time: neither when it revokes, nor when another instance reads the log.
func TestRevokeOfOneKeyTakesLinearTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		atOnce   bool
		covering int // the period of entries that cover all before them; 0: none
	}{
		{name: "at once", atOnce: true},
		{name: "one by one"},
		{name: "each covers the one before", covering: 1},
		{name: "one covers many", covering: 60},
		{name: "one covers more than the list keeps", covering: 100, atOnce: true},
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

// Claims that are arrays cost their lengths and at most a quick look at each entry, never the product of their lengths.
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
		name, claims string // %[1]s and %[2]s are arrays of values that no entry has, %[3]s of values of entries
	}{
		{"one", `{"iss":"i","g":%[1]s}`},
		{"two", `{"iss":"i","a":%[1]s,"b":%[2]s}`},
		{"two, one of them with values of entries", `{"iss":"i","a":%[3]s,"b":%[2]s}`},
		{"two, and all entries have the value of one", `{"iss":"i","a":%[1]s,"b":["c"]}`},
		{"three", `{"iss":"i","a":%[1]s,"b":%[2]s,"c":%[1]s}`},
		{"three, one of them with values of entries", `{"iss":"i","a":%[3]s,"b":%[2]s,"c":%[1]s}`},
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

// sequence returns n revocations by the matches that newMatch returns.
func sequence(n int, newMatch func(i int) match) []oauthz.Revocation {
	matches := make([]match, n)
	for i := range matches {
		matches[i] = newMatch(i)
	}
	return by(matches...)
}

// Batches take linear time in the number of their entries.
func TestRevokeOfABatchTakesLinearTime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most     int
		newMatch func(i int) match
	}{
		"a batch":                          {10_000, func(i int) match { return match{"iss": "i", "jti": fmt.Sprint(i)} }},
		"one subject, and a condition":     {10_000, func(i int) match { return match{"iss": "i", "sub": "s", "x": i} }},
		"one subject, and many conditions": {4_000, func(i int) match { return match{"iss": "i", "sub": "s", fmt.Sprint("x", i): 1} }},
		"many issuers":                     {10_000, func(i int) match { return match{"iss": fmt.Sprint(i), "sub": "s"} }},
		"one entry again and again":        {10_000, func(int) match { return match{"iss": "i", "sub": "s"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, tt.most, func(n int) func() {
				revs := sequence(n, tt.newMatch)
				return func() { require.NoError(t, revocations(t).Revoke(t.Context(), revs...)) }
			})
		})
	}
}

func TestAllTakesLinearTime(t *testing.T) {
	t.Parallel()
	doubling.Linear(t, 10_000, func(n int) func() {
		list := revocations(t, append(sequence(n, func(i int) match { return match{"iss": "i", "jti": fmt.Sprint(i)} }), front(n)...)...)
		return func() {
			all, err := list.All(oauthz.Query{Match: match{"jti": "none"}})
			require.NoError(t, err)
			require.Empty(t, slices.Collect(all))
		}
	})
}

// JSON takes linear time in the number of members, and in the length of a number.
func TestRevocationJSONTakesLinearTime(t *testing.T) {
	t.Parallel()
	roundTrip := func(t *testing.T, doc []byte) {
		var rev oauthz.Revocation
		require.NoError(t, rev.UnmarshalJSON(doc))
		_, err := rev.MarshalJSON()
		require.NoError(t, err)
	}
	t.Run("many members", func(t *testing.T) {
		t.Parallel()
		doubling.Linear(t, 4_000, func(n int) func() {
			m := match{"iss": "i"}
			for i := range n {
				m[fmt.Sprint("x", i)] = i
			}
			doc := []byte(asJSON(t, by(m)[0]))
			return func() { roundTrip(t, doc) }
		})
	})
	t.Run("a long number", func(t *testing.T) {
		t.Parallel()
		doubling.Linear(t, 50_000, func(n int) func() {
			doc := []byte(`{"match":{"iss":"i","n":` + strings.Repeat("9", n) + `e-` + fmt.Sprint(n) + `}}`)
			return func() { roundTrip(t, doc) }
		})
	})
}

// Three long arrays do not cost the product of their lengths. Not parallel: it counts allocations.
func TestLongArraysDoNotMultiply(t *testing.T) {
	members := make([]string, 1500)
	for i := range members {
		members[i] = fmt.Sprintf(`"m%d"`, i)
	}
	array := "[" + strings.Join(members, ",") + "]"
	token, err := oauthz.ParseToken([]byte(`{"iss":"i","a":` + array + `,"b":` + array + `,"c":` + array + `}`))
	require.NoError(t, err)
	var list oauthz.MemoryRevocations
	revoke := func(a, b, c string) bool {
		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "i", "a": a, "b": b, "c": c}}))
		revoked, err := list.Revoked(t.Context(), token)
		require.NoError(t, err)
		return revoked
	}
	assert.False(t, revoke("m1", "m2", "other"))
	assert.True(t, revoke("m1499", "m0", "m700"))
	allocations := testing.AllocsPerRun(1, func() { _, _ = list.Revoked(t.Context(), token) })
	assert.Less(t, allocations, 100_000.0)
}

// A long array costs its own length, not the length of the list of revocations. Not parallel: it counts allocations.
func TestLongArraysInALongList(t *testing.T) {
	var list oauthz.MemoryRevocations
	const n = 5000
	for i := range n {
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "groups": fmt.Sprint("g", i)}, match{"iss": "i", "a": fmt.Sprint(i), "b": "b"})...))
	}
	at := time.Now()
	require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "j", "a": "x1", "b": "c1"}, match{"iss": "i", "c": "x3", "d": "c3"})...))
	require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: match{"iss": "i", "a": "x2", "b": "c2"}, IssuedUntil: at.Add(-time.Hour)}))
	ask := func(groups, a, b []string) bool {
		claims, err := json.Marshal(map[string]any{"iss": "i", "groups": groups, "a": a, "b": b, "iat": at.Unix()})
		require.NoError(t, err)
		token := parse(t, string(claims))
		revoked, err := list.Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.Less(t, testing.AllocsPerRun(1, func() { _, _ = list.Revoked(t.Context(), token) }), 500.0)
		return revoked
	}
	assert.False(t, ask(numbers("other", 1500), nil, nil))
	assert.True(t, ask(append(numbers("other", 1500), fmt.Sprint("g", n-1)), nil, nil))
	// There are more combinations than entries: the list reads each entry, without a copy of it.
	assert.False(t, ask(nil, numbers("", 200), numbers("c", 200)))
	assert.True(t, ask(nil, numbers("", 200), append(numbers("c", 200), "b")))
	assert.False(t, ask(nil, numbers("x", 200), append(numbers("c", 200), "b")))
}
