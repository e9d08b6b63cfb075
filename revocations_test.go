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

// RV-14: numbers are one by value, to the last digit, however they are written.
func TestRevocationsCompareNumbersExactly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		match any
		claim string
		want  bool
	}{
		{7, "7", true},
		{7, "7.0", true},
		{7, "70e-1", true},
		{7, "0.7E+1", true},
		{7, `"7"`, false},
		{-7, "-7", true},
		{-7, "7", false},
		{0, "-0.0", true},
		{float64(1e16), "10000000000000000", true},
		{int64(1e16), "1e16", true},
		{uint64(1 << 60), "1152921504606846976.0", true},
		{uint64(1<<64 - 1), "18446744073709551615", true},
		{uint64(1<<64 - 1), "18446744073709551614", false},
		{int64(9007199254740993), "9007199254740992", false},
		{json.Number("1e400"), "1e400", true},
		{0.1, "0.1", true},
		{0.1, "0.10", true},
		{float32(0.1), "0.1", true},
		{1234567.25, "1234567.25", true},
	}
	for _, tt := range tests {
		var list oauthz.Revocations
		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "i", "n": tt.match}}))
		token, err := oauthz.ParseToken([]byte(`{"iss":"i","n":` + tt.claim + `}`))
		require.NoError(t, err)
		got, err := list.Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got, "%v (%T) and %s", tt.match, tt.match, tt.claim)
	}
	for _, bad := range []any{json.Number("007"), json.Number("+7"), json.Number("1e99999999999"), json.Number(""), json.Number("7,8"), json.Number("true")} {
		var list oauthz.Revocations
		assert.Error(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "i", "n": bad}}), "%v", bad)
	}
}

// Names that could be joined in two ways are two shapes.
func TestRevocationsTellNamesApart(t *testing.T) {
	t.Parallel()
	var list oauthz.Revocations
	require.NoError(t, list.Revoke(t.Context(),
		oauthz.Revocation{Match: map[string]any{"iss": "i", "a\x00b": "x"}},
		oauthz.Revocation{Match: map[string]any{"iss": "i", "a": "x", "b": "y"}},
	))
	token, err := oauthz.ParseToken([]byte(`{"iss":"i","a":"x","b":"y"}`))
	require.NoError(t, err)
	revoked, err := list.Revoked(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, revoked)
}

// RV-14: claims that are long lists cost their length, not its product.
// Not parallel: it counts allocations.
func TestRevocationsOfLongLists(t *testing.T) {
	members := make([]string, 1500)
	for i := range members {
		members[i] = fmt.Sprintf(`"m%d"`, i)
	}
	array := "[" + strings.Join(members, ",") + "]"
	token, err := oauthz.ParseToken([]byte(`{"iss":"i","a":` + array + `,"b":` + array + `,"c":` + array + `}`))
	require.NoError(t, err)
	var list oauthz.Revocations
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

// A later revocation takes the place of those that it covers, and of no other.
func TestRevocationsThatCoverOthers(t *testing.T) {
	t.Parallel()
	epoch := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	now := epoch
	list := oauthz.Revocations{Now: func() time.Time { return now }}
	revoke := func(until, expires time.Duration) {
		rev := oauthz.Revocation{Match: map[string]any{"iss": "i", "sub": "s"}, IssuedUntil: epoch.Add(until)}
		if expires > 0 {
			rev.Expires = epoch.Add(expires)
		}
		require.NoError(t, list.Revoke(t.Context(), rev))
	}
	revoked := func(iat time.Duration) bool {
		token, err := oauthz.ParseToken(fmt.Appendf(nil, `{"iss":"i","sub":"s","iat":%d}`, epoch.Add(iat).Unix()))
		require.NoError(t, err)
		got, err := list.Revoked(t.Context(), token)
		require.NoError(t, err)
		return got
	}
	revoke(2*time.Hour, time.Hour) // wider, and shorter
	revoke(time.Hour, 0)           // narrower, and for ever
	assert.True(t, revoked(2*time.Hour))
	assert.True(t, revoked(time.Hour))
	now = epoch.Add(2 * time.Hour)
	assert.False(t, revoked(2*time.Hour), "the wider one is over")
	assert.True(t, revoked(time.Hour), "the other is not")
	for i := range 1000 {
		revoke(time.Hour+time.Duration(i)*time.Second, 0)
	}
	now = epoch.Add(24 * time.Hour)
	assert.False(t, revoked(24*time.Hour))
}

// Decode is exact behind an interface that holds a pointer already, for tags
// that encoding/json does not take as names, and for structs embedded by name.
func TestDecodeIsExactEverywhere(t *testing.T) {
	t.Parallel()
	type role struct {
		Role string `json:"role"`
	}
	token, err := oauthz.ParseToken([]byte(`{"realm":{"role":"user","ROLE":"admin"},"list":[{"role":"user","ROLE":"admin"}],"Price":7,"inner":{"role":"user","ROLE":"admin"}}`))
	require.NoError(t, err)

	held := struct {
		Realm any   `json:"realm"`
		List  []any `json:"list"`
	}{&role{}, []any{&role{}}}
	require.NoError(t, token.Decode(&held))
	assert.Equal(t, &role{"user"}, held.Realm)

	var target any = &struct {
		Realm role `json:"realm"`
	}{}
	require.NoError(t, token.Decode(&target))
	assert.Equal(t, &struct {
		Realm role `json:"realm"`
	}{role{"user"}}, target)

	var tags struct {
		Price int `json:"pri€e"`
		inner `json:"inner"`
	}
	require.NoError(t, token.Decode(&tags))
	assert.Equal(t, 7, tags.Price)
	assert.Equal(t, "user", tags.Role)
}

type inner struct {
	Role string `json:"role"`
}

// DP-22: a member of cnf that is empty binds to nothing, and is an error.
func TestEmptyMemberOfConfirmation(t *testing.T) {
	t.Parallel()
	for _, cnf := range []string{`{"jkt":"","x5t#S256":"abc"}`, `{"x5t#S256":""}`} {
		_, err := oauthz.ParseToken([]byte(`{"cnf":` + cnf + `}`))
		assert.EqualError(t, err, "oauthz: claim cnf: empty")
	}
}

// RV-14: a claim that is a long list costs its own length, not that of the list of revocations.
// Not parallel: it counts allocations.
func TestRevocationsOfLongListsInALongList(t *testing.T) {
	var list oauthz.Revocations
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
	// More ways to choose than there are entries: these are gone through, each without a copy.
	assert.False(t, ask(nil, numbers("", 200), numbers("c", 200)))
	assert.True(t, ask(nil, numbers("", 200), append(numbers("c", 200), "b")))
	assert.False(t, ask(nil, numbers("x", 200), append(numbers("c", 200), "b")))
}

func numbers(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}
