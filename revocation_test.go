package oauthz_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// match is a Revocation.Match.
type match = map[string]any

// revocations returns a list of revs whose clock stands at epoch.
func revocations(t testing.TB, revs ...oauthz.Revocation) *oauthz.MemoryRevocations {
	t.Helper()
	list := &oauthz.MemoryRevocations{Now: atEpoch}
	require.NoError(t, list.Revoke(t.Context(), revs...))
	return list
}

func by(matches ...match) (revs []oauthz.Revocation) {
	for _, m := range matches {
		revs = append(revs, oauthz.Revocation{Match: m})
	}
	return revs
}

// until returns a revocation of the tokens of one subject that were issued up to a time, in seconds from epoch.
func until(seconds int) []oauthz.Revocation {
	return []oauthz.Revocation{{Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch.Add(time.Duration(seconds) * time.Second)}}
}

// iat returns the claims of a token of that subject that was issued at a time, in seconds from epoch.
func iat(seconds string) string {
	at, _ := json.Number(seconds).Float64()
	return fmt.Sprintf(`{"iss":"i","sub":"s","iat":%.1f}`, float64(epoch.Unix())+at)
}

// batch returns n revocations by jti: the jtis are first, first+1 and so on.
func batch(first, n int, expires time.Time) (revs []oauthz.Revocation) {
	for i := range n {
		revs = append(revs, oauthz.Revocation{Match: match{"iss": "i", "jti": fmt.Sprint(first + i)}, Expires: expires})
	}
	return revs
}

// front returns n revocations of one Match, none of which covers another: the later the IssuedUntil, the earlier the Expires.
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

// held returns the entries of a list that q selects.
func held(t *testing.T, list *oauthz.MemoryRevocations, q oauthz.Query) []oauthz.Revocation {
	t.Helper()
	all, err := list.All(q)
	require.NoError(t, err)
	return slices.Collect(all)
}

func numbers(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

// elements returns a JSON array of n strings.
func elements(prefix string, n int) string {
	return `["` + strings.Join(numbers(prefix, n), `","`) + `"]`
}

// Revoke adds all revocations or none: a revocation that could never match is a mistake.
func TestRevokeTakesAllOrNone(t *testing.T) {
	t.Parallel()
	good := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}}
	for _, tt := range []struct {
		name string
		bad  match
		want string
	}{
		{name: "nothing to match", want: "oauthz: revocation 1: match has no iss"},
		{name: "no issuer", bad: match{"jti": "1"}, want: "oauthz: revocation 1: match has no iss"},
		{name: "empty issuer", bad: match{"iss": ""}, want: "oauthz: revocation 1: match has no iss"},
		{name: "issuer of another type", bad: match{"iss": 7}, want: "oauthz: revocation 1: match has no iss"},
		{name: "nil", bad: match{"iss": "i", "x": nil}, want: `oauthz: revocation 1: match "x": `},
		{name: "list", bad: match{"iss": "i", "x": []string{"a"}}, want: `oauthz: revocation 1: match "x": a []string cannot be compared`},
		{name: "map", bad: match{"iss": "i", "x": match{}}, want: `oauthz: revocation 1: match "x": `},
		{name: "pointer", bad: match{"iss": "i", "x": new(string)}, want: `oauthz: revocation 1: match "x": `},
		{name: "not a number", bad: match{"iss": "i", "x": math.NaN()}, want: `oauthz: revocation 1: match "x": `},
		{name: "infinity", bad: match{"iss": "i", "x": math.Inf(1)}, want: `oauthz: revocation 1: match "x": `},
		{name: "jti of a token that has none", bad: match{"iss": "i", "jti": ""}, want: `oauthz: revocation 1: match "jti": no token has an empty one`},
		{name: "json.Number that is not a number", bad: match{"iss": "i", "x": json.Number("seven")}, want: `oauthz: revocation 1: match "x": `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := &oauthz.MemoryRevocations{}
			require.ErrorContains(t, list.Revoke(t.Context(), good, oauthz.Revocation{Match: tt.bad}), tt.want)
			revoked, err := list.Revoked(t.Context(), parse(t, `{"iss":"i","sub":"s"}`))
			require.NoError(t, err)
			assert.False(t, revoked)
		})
	}
}

// A caller may change its map afterwards.
func TestRevokeCopiesTheMatch(t *testing.T) {
	t.Parallel()
	m := match{"iss": "i", "sub": "s"}
	list := revocations(t, oauthz.Revocation{Match: m})
	m["sub"] = "another"
	revoked, _ := list.Revoked(t.Context(), parse(t, `{"iss":"i","sub":"s"}`))
	assert.True(t, revoked)
}

// No token could match a revocation that is too long or not UTF-8, and other instances could not read it.
func TestRevokeRefusesLongAndNonUTF8Entries(t *testing.T) {
	t.Parallel()
	long, bad := strings.Repeat("x", 1<<16), "\xff"
	for _, tt := range []struct {
		rev  oauthz.Revocation
		want string
	}{
		{oauthz.Revocation{Match: match{"iss": "i", "jti": long}}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": long}}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": "i", long: 1}}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": "i"}, Reason: long}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": "i", "jti": bad}}, `match "jti": not UTF-8`},
		{oauthz.Revocation{Match: match{"iss": bad}}, "not UTF-8"},
		{oauthz.Revocation{Match: match{"iss": "i", bad: 1}}, "not UTF-8"},
		{oauthz.Revocation{Match: match{"iss": "i"}, Reason: bad}, "reason: not UTF-8"},
	} {
		assert.EqualError(t, new(oauthz.MemoryRevocations).Revoke(t.Context(), tt.rev), "oauthz: revocation 0: "+tt.want)
		_, err := tt.rev.MarshalJSON()
		assert.EqualError(t, err, "oauthz: revocation: "+tt.want)
		assert.EqualError(t, tt.rev.Check(), "oauthz: revocation: "+tt.want)
	}
	// Long entries are found, also if they fill the chunks of memory unevenly.
	var list oauthz.MemoryRevocations
	for i := range 40 {
		value := strings.Repeat(string(rune('a'+i%26)), 40_000+600*i)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "jti": value}, match{"iss": "i", "sub": fmt.Sprint(i)})...))
	}
	for i := range 40 {
		value := strings.Repeat(string(rune('a'+i%26)), 40_000+600*i)
		for _, claims := range []string{`{"iss":"i","jti":"` + value + `"}`, fmt.Sprintf(`{"iss":"i","sub":"%d"}`, i)} {
			revoked, err := list.Revoked(t.Context(), parse(t, claims))
			require.NoError(t, err)
			assert.True(t, revoked, i)
		}
	}
}
