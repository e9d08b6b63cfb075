package oauthz_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// match is what a Revocation matches by.
type match = map[string]any

// revocations is a list at epoch.
func revocations(t testing.TB, revs ...oauthz.Revocation) *oauthz.Revocations {
	t.Helper()
	list := &oauthz.Revocations{Now: atEpoch}
	require.NoError(t, list.Revoke(t.Context(), revs...))
	return list
}

// revocationTests are one token beside one list each (hostile-inputs §3.8).
var revocationTests = []struct {
	name   string
	list   []oauthz.Revocation
	claims string
	want   bool
}{
	{name: "nothing revoked", claims: `{"iss":"i","jti":"1"}`},
	{name: "RV-01 jti", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","jti":"1"}`, want: true},
	{name: "RV-01 another jti", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","jti":"2"}`},
	{name: "RV-01 jti of another case", list: by(match{"iss": "i", "jti": "A"}), claims: `{"iss":"i","jti":"a"}`},
	{name: "RV-02 the same jti of another issuer", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"j","jti":"1"}`},
	{name: "RV-02 no issuer", list: by(match{"iss": "i", "jti": "1"}), claims: `{"jti":"1"}`},
	{name: "RV-03 no jti", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","sub":"s"}`},
	{name: "RV-03 no jti, by subject", list: by(match{"iss": "i", "jti": "1"}, match{"iss": "i", "sub": "s"}), claims: `{"iss":"i","sub":"s"}`, want: true},
	{name: "RV-04 client", list: by(match{"iss": "i", "client_id": "c"}), claims: `{"iss":"i","client_id":"c"}`, want: true},
	{name: "RV-04 session", list: by(match{"iss": "i", "sid": "s"}), claims: `{"iss":"i","sid":"s"}`, want: true},
	{name: "RV-04 subject and client", list: by(match{"iss": "i", "sub": "s", "client_id": "c"}), claims: `{"iss":"i","sub":"s","client_id":"c"}`, want: true},
	{name: "RV-04 subject, another client", list: by(match{"iss": "i", "sub": "s", "client_id": "c"}), claims: `{"iss":"i","sub":"s","client_id":"d"}`},
	{name: "RV-04 subject, no client", list: by(match{"iss": "i", "sub": "s", "client_id": "c"}), claims: `{"iss":"i","sub":"s"}`},
	{name: "RV-04 issued before", list: until(0), claims: iat("-1"), want: true},
	{name: "RV-04 issued then", list: until(0), claims: iat("0"), want: true},
	{name: "RV-04 issued later", list: until(0), claims: iat("1")},
	{name: "RV-04 issued a fraction later", list: until(0), claims: iat("0.5")},
	{name: "RV-04 issued at a fraction", list: []oauthz.Revocation{{Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch.Add(time.Second / 2)}}, claims: iat("0.5"), want: true},
	{name: "RV-04 the latest of several", list: append(until(0), until(10)...), claims: iat("5"), want: true},
	{name: "RV-04 the latest of several, first", list: append(until(10), until(0)...), claims: iat("5"), want: true},
	{name: "RV-05 no iat", list: until(-1000), claims: `{"iss":"i","sub":"s"}`, want: true},
	{name: "RV-11 by iat, not by the clock", list: until(3600), claims: iat("1800"), want: true},
	{name: "RV-12 the whole issuer, older", list: []oauthz.Revocation{{Match: match{"iss": "i"}, IssuedUntil: epoch}}, claims: iat("0"), want: true},
	{name: "RV-12 the whole issuer, newer", list: []oauthz.Revocation{{Match: match{"iss": "i"}, IssuedUntil: epoch}}, claims: iat("1")},

	{name: "RV-14 number", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":7}`, want: true},
	{name: "RV-14 number and string", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":"7"}`},
	{name: "RV-14 string and number", list: by(match{"iss": "i", "n": "7"}), claims: `{"iss":"i","n":7}`},
	{name: "RV-14 a jti that is a number", list: by(match{"iss": "i", "jti": 7}), claims: `{"iss":"i","jti":"7"}`},
	{name: "RV-14 string that looks like a key", list: by(match{"iss": "i", "n": "n7"}), claims: `{"iss":"i","n":7}`},
	{name: "RV-14 number in another spelling", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":70e-1}`, want: true},
	{name: "RV-14 number with a fraction of nothing", list: by(match{"iss": "i", "n": 7.0}), claims: `{"iss":"i","n":7.0}`, want: true},
	{name: "RV-14 zero and minus zero", list: by(match{"iss": "i", "n": 0}), claims: `{"iss":"i","n":-0}`, want: true},
	{name: "RV-14 json.Number", list: by(match{"iss": "i", "n": json.Number("7")}), claims: `{"iss":"i","n":7}`, want: true},
	{name: "RV-14 fraction", list: by(match{"iss": "i", "n": 1.5}), claims: `{"iss":"i","n":15e-1}`, want: true},
	{name: "RV-14 number beyond float64", list: by(match{"iss": "i", "n": int64(9007199254740993)}), claims: `{"iss":"i","n":9007199254740993}`, want: true},
	{name: "RV-14 its neighbour", list: by(match{"iss": "i", "n": int64(9007199254740993)}), claims: `{"iss":"i","n":9007199254740992}`},
	{name: "RV-14 number beyond int64", list: by(match{"iss": "i", "n": uint64(math.MaxUint64)}), claims: `{"iss":"i","n":18446744073709551615}`, want: true},
	{name: "RV-14 number beyond float64's range", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":1e400}`},
	{name: "RV-14 bool", list: by(match{"iss": "i", "b": true}), claims: `{"iss":"i","b":true}`, want: true},
	{name: "RV-14 the other bool", list: by(match{"iss": "i", "b": true}), claims: `{"iss":"i","b":false}`},
	{name: "RV-14 bool and string", list: by(match{"iss": "i", "b": true}), claims: `{"iss":"i","b":"true"}`},
	{name: "RV-14 null", list: by(match{"iss": "i", "b": "null"}), claims: `{"iss":"i","b":null}`},
	{name: "RV-14 object", list: by(match{"iss": "i", "b": "{}"}), claims: `{"iss":"i","b":{}}`},
	{name: "RV-14 a jti of 1 MB", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","jti":"` + strings.Repeat("1", 1<<20) + `"}`},
	{name: "a type of one's own", list: by(match{"iss": "i", "sub": oauthz.Secret("s"), "n": time.Duration(7)}), claims: `{"iss":"i","sub":"s","n":7}`, want: true},
	{name: "array that has it", list: by(match{"iss": "i", "groups": "b"}), claims: `{"iss":"i","groups":["a","b"]}`, want: true},
	{name: "array that has not", list: by(match{"iss": "i", "groups": "c"}), claims: `{"iss":"i","groups":["a","b"]}`},
	{name: "array of another type", list: by(match{"iss": "i", "groups": 7}), claims: `{"iss":"i","groups":["7",[7],{"7":7}]}`},
	{name: "array of none", list: by(match{"iss": "i", "groups": "a"}), claims: `{"iss":"i","groups":[]}`},
	{name: "two arrays", list: by(match{"iss": "i", "g": "b", "h": 2}), claims: `{"iss":"i","g":["a","b"],"h":[1,2]}`, want: true},
	{name: "two arrays, the first of the second", list: by(match{"iss": "i", "g": "b", "h": 1}), claims: `{"iss":"i","g":["a","b"],"h":[1,2]}`, want: true},
	{name: "two arrays, one of which has not", list: by(match{"iss": "i", "g": "b", "h": 3}), claims: `{"iss":"i","g":["a","b"],"h":[1,2]}`},
	{name: "an audience", list: by(match{"iss": "i", "aud": "y"}), claims: `{"iss":"i","aud":["x","y"]}`, want: true},
	{name: "values do not run together", list: by(match{"iss": "i", "a": "x", "b": "yz"}), claims: `{"iss":"i","a":"xy","b":"z"}`},
	{name: "values do not run together, with colons", list: by(match{"iss": "i", "a": "x:sy", "b": "z"}), claims: `{"iss":"i","a":"x","b":"y:sz"}`},
	{name: "values do not run together, by length", list: by(match{"iss": "i", "a": "1:s", "b": ""}), claims: `{"iss":"i","a":"","b":"1:s"}`},
	{name: "names do not run together", list: by(match{"iss": "i", "a\x00b": "x"}), claims: `{"iss":"i","a":"x","b":"x"}`},
	{name: "names do not run together, joined", list: by(match{"iss": "i", "ab": "x"}, match{"iss": "i", "a": "x", "b": "y"}), claims: `{"iss":"i","a":"x","b":"y"}`, want: true},
	{name: "names do not run together, with colons", list: by(match{"iss": "i", "a:b": "x"}, match{"iss": "i", "a": "x", "b": "y"}), claims: `{"iss":"i","a":"x","b":"y"}`, want: true},
	{name: "names of another case", list: by(match{"iss": "i", "uid": "x"}), claims: `{"iss":"i","UID":"x"}`},
	{name: "RV-06, RV-07 a token cannot say its own hash", list: by(match{"iss": "i", oauthz.MatchTokenHash: "h"}), claims: `{"iss":"i","token_sha256":"h"}`},
}

// What a tenant's tokens are revoked by is what the introspector says, not what the token does.
func TestRevocationsByTenant(t *testing.T) {
	t.Parallel()
	list := revocations(t, by(match{"iss": "i", oauthz.MatchTenant: "Company/1"})...)
	token := parse(t, `{"iss":"i","token_tenant":"Company/1","tenant":"Company/1"}`)
	for _, tt := range []struct {
		tenant string
		want   bool
	}{{"", false}, {"Company/2", false}, {"Company/1", true}} {
		token.Tenant = tt.tenant
		revoked, err := list.Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, tt.want, revoked, tt.tenant)
	}
}

func by(matches ...match) (revs []oauthz.Revocation) {
	for _, m := range matches {
		revs = append(revs, oauthz.Revocation{Match: m})
	}
	return revs
}

// until revokes a subject's tokens that were issued up to then, in seconds from epoch.
func until(seconds int) []oauthz.Revocation {
	return []oauthz.Revocation{{Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch.Add(time.Duration(seconds) * time.Second)}}
}

// iat is a token of that subject, issued then.
func iat(seconds string) string {
	at, _ := json.Number(seconds).Float64()
	return fmt.Sprintf(`{"iss":"i","sub":"s","iat":%.1f}`, float64(epoch.Unix())+at)
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	for _, tt := range revocationTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := revocations(t, tt.list...)
			got, err := list.Revoked(t.Context(), parse(t, tt.claims))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)

			want := allowed
			if tt.want {
				want = badToken
			}
			guard := newGuard(t, oauthz.Config{Introspector: knows(tt.claims), Revocations: []oauthz.RevocationList{list}})
			want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
		})
	}
}

// What an introspector filled in is what is matched: an issuer that the answer did not name, say.
func TestRevocationsSeeTheFields(t *testing.T) {
	t.Parallel()
	list := revocations(t, by(match{"iss": "filled", "sub": "s"})...)
	token := parse(t, `{"sub":"s"}`)
	token.Issuer = "filled"
	revoked, err := list.Revoked(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, revoked)
}

// RV-13: an entry lives until the last token that it can match is dead, whatever leeway an introspector allows.
func TestRevocationsExpire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		after time.Duration // from Expires
		want  bool
	}{
		{name: "before", after: -time.Hour, want: true},
		{name: "then", after: 0, want: true},
		{name: "within the greatest leeway", after: oauthz.MaxLeeway - 1, want: true},
		{name: "after the greatest leeway", after: oauthz.MaxLeeway},
		{name: "long after", after: 24 * time.Hour},
	} {
		for _, swept := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", swept ", swept), func(t *testing.T) {
				t.Parallel()
				now := epoch.Add(-2 * time.Hour)
				list := &oauthz.Revocations{Now: func() time.Time { return now }}
				require.NoError(t, list.Revoke(t.Context(),
					oauthz.Revocation{Match: match{"iss": "i", "jti": "ends"}, Expires: epoch},
					oauthz.Revocation{Match: match{"iss": "i", "sid": "ends"}, Expires: epoch},
					oauthz.Revocation{Match: match{"iss": "i", "sid": "stays"}},
				))
				now = epoch.Add(tt.after)
				if swept { // adding looks through the entries
					require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "sub": "another"})...))
				}
				for claims, want := range map[string]bool{
					`{"iss":"i","jti":"ends"}`: tt.want, `{"iss":"i","sid":"ends"}`: tt.want, `{"iss":"i","sid":"stays"}`: true,
				} {
					got, err := list.Revoked(t.Context(), parse(t, claims))
					require.NoError(t, err)
					assert.Equal(t, want, got, claims)
				}
			})
		}
	}
}

// Of two entries for the same claims, the one that lasts longer counts, in either order.
func TestRevocationsOverlap(t *testing.T) {
	t.Parallel()
	short := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}, Expires: epoch.Add(-time.Hour)}
	long := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch, Expires: epoch.Add(time.Hour)}
	for _, list := range []*oauthz.Revocations{revocations(t, short, long, short), revocations(t, long, short, long)} {
		revoked, _ := list.Revoked(t.Context(), parse(t, iat("0")))
		assert.True(t, revoked)
		revoked, _ = list.Revoked(t.Context(), parse(t, iat("1")))
		assert.False(t, revoked)
	}
}

// All of them are taken, or none: one that could never match is a mistake, and not a revocation.
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
		{name: "jti of a token that has none", bad: match{"iss": "i", "jti": ""}, want: `oauthz: revocation 1: match "jti": no token has one that is empty`},
		{name: "json.Number that is none", bad: match{"iss": "i", "x": json.Number("seven")}, want: `oauthz: revocation 1: match "x": `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := &oauthz.Revocations{}
			require.ErrorContains(t, list.Revoke(t.Context(), good, oauthz.Revocation{Match: tt.bad}), tt.want)
			revoked, err := list.Revoked(t.Context(), parse(t, `{"iss":"i","sub":"s"}`))
			require.NoError(t, err)
			assert.False(t, revoked)
		})
	}
}

// A caller may use its map again.
func TestRevokeKeepsItsOwnMatch(t *testing.T) {
	t.Parallel()
	m := match{"iss": "i", "sub": "s"}
	list := revocations(t, oauthz.Revocation{Match: m})
	m["sub"] = "another"
	revoked, _ := list.Revoked(t.Context(), parse(t, `{"iss":"i","sub":"s"}`))
	assert.True(t, revoked)
}

// It is safe to revoke while requests ask, and what was revoked stays so.
func TestRevocationsConcurrently(t *testing.T) {
	t.Parallel()
	var list oauthz.Revocations
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				claim := fmt.Sprintf("claim-%d", j%5)
				rev := oauthz.Revocation{Match: match{"iss": "i", claim: i*1000 + j}, Expires: time.Now().Add(time.Hour)}
				assert.NoError(t, list.Revoke(context.Background(), rev))
				token, err := oauthz.ParseToken(fmt.Appendf(nil, `{"iss":"i",%q:%d}`, claim, i*1000+j))
				assert.NoError(t, err)
				revoked, err := list.Revoked(context.Background(), token)
				assert.NoError(t, err)
				assert.True(t, revoked)
			}
		})
	}
	wg.Wait()
}

// RV-08, RV-10: a list that cannot tell is a fault, whatever its error wraps. The lists are asked in order, each time.
func TestListsThatCannotTell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lists []oauthz.RevocationList
		want  answer
	}{
		{name: "down", lists: []oauthz.RevocationList{listSays{false, errors.New("down")}}, want: cannotTell},
		{name: "down, and says revoked", lists: []oauthz.RevocationList{listSays{true, errors.New("down")}}, want: cannotTell},
		{name: "timeout", lists: []oauthz.RevocationList{listSays{false, context.DeadlineExceeded}}, want: cannotTell},
		{name: "wraps a refusal", lists: []oauthz.RevocationList{listSays{false, oauthz.ErrInvalidToken}}, want: cannotTell},
		{name: "wraps no token", lists: []oauthz.RevocationList{listSays{false, oauthz.ErrNoToken}}, want: cannotTell},
		{name: "wraps another answer", lists: []oauthz.RevocationList{listSays{false, &oauthz.Error{Status: 401, Code: "invalid_token"}}}, want: cannotTell},
		{name: "the second is down", lists: []oauthz.RevocationList{listSays{}, listSays{false, errors.New("down")}}, want: cannotTell},
		{name: "the first knows", lists: []oauthz.RevocationList{listSays{true, nil}, listSays{false, errors.New("down")}}, want: badToken},
		{name: "the second knows", lists: []oauthz.RevocationList{listSays{}, listSays{true, nil}}, want: badToken},
		{name: "nobody knows it", lists: []oauthz.RevocationList{listSays{}, listSays{}}, want: allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, req := range []oauthz.Requirement{{}, oauthz.Require().OrAnonymous()} {
				tt.want.check(t, serve(t, newGuard(t, oauthz.Config{Revocations: tt.lists}), req, withGoodToken()))
			}
			checked, err := oauthz.CheckRevoked(knows(`{}`), tt.lists...)
			require.NoError(t, err)
			tt.want.check(t, serve(t, newGuard(t, oauthz.Config{Introspector: checked}), oauthz.Require(), withGoodToken()))
		})
	}
}
