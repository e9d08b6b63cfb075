package oauthz_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// revocationTests are a list and a token each.
var revocationTests = []struct {
	name   string
	list   []oauthz.Revocation
	claims string
	want   bool
}{
	{name: "nothing revoked", claims: `{"iss":"i","jti":"1"}`},
	{name: "jti", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","jti":"1"}`, want: true},
	{name: "another jti", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","jti":"2"}`},
	{name: "jti of another case", list: by(match{"iss": "i", "jti": "A"}), claims: `{"iss":"i","jti":"a"}`},
	{name: "the same jti of another issuer", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"j","jti":"1"}`},
	{name: "no issuer", list: by(match{"iss": "i", "jti": "1"}), claims: `{"jti":"1"}`},
	{name: "no jti", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","sub":"s"}`},
	{name: "no jti, by subject", list: by(match{"iss": "i", "jti": "1"}, match{"iss": "i", "sub": "s"}), claims: `{"iss":"i","sub":"s"}`, want: true},
	{name: "client", list: by(match{"iss": "i", "client_id": "c"}), claims: `{"iss":"i","client_id":"c"}`, want: true},
	{name: "session", list: by(match{"iss": "i", "sid": "s"}), claims: `{"iss":"i","sid":"s"}`, want: true},
	{name: "subject and client", list: by(match{"iss": "i", "sub": "s", "client_id": "c"}), claims: `{"iss":"i","sub":"s","client_id":"c"}`, want: true},
	{name: "subject, another client", list: by(match{"iss": "i", "sub": "s", "client_id": "c"}), claims: `{"iss":"i","sub":"s","client_id":"d"}`},
	{name: "subject, no client", list: by(match{"iss": "i", "sub": "s", "client_id": "c"}), claims: `{"iss":"i","sub":"s"}`},
	{name: "issued before", list: until(0), claims: iat("-1"), want: true},
	{name: "issued then", list: until(0), claims: iat("0"), want: true},
	{name: "issued later", list: until(0), claims: iat("1")},
	{name: "issued a fraction later", list: until(0), claims: iat("0.5")},
	{name: "issued at a fraction", list: []oauthz.Revocation{{Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch.Add(time.Second / 2)}}, claims: iat("0.5"), want: true},
	{name: "the latest of several", list: append(until(0), until(10)...), claims: iat("5"), want: true},
	{name: "the latest of several, first", list: append(until(10), until(0)...), claims: iat("5"), want: true},
	{name: "no iat", list: until(-1000), claims: `{"iss":"i","sub":"s"}`, want: true},
	{name: "by iat, not by the clock", list: until(3600), claims: iat("1800"), want: true},
	{name: "the whole issuer, older", list: []oauthz.Revocation{{Match: match{"iss": "i"}, IssuedUntil: epoch}}, claims: iat("0"), want: true},
	{name: "the whole issuer, newer", list: []oauthz.Revocation{{Match: match{"iss": "i"}, IssuedUntil: epoch}}, claims: iat("1")},

	{name: "number", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":7}`, want: true},
	{name: "number and string", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":"7"}`},
	{name: "string and number", list: by(match{"iss": "i", "n": "7"}), claims: `{"iss":"i","n":7}`},
	{name: "a jti that is a number", list: by(match{"iss": "i", "jti": 7}), claims: `{"iss":"i","jti":"7"}`},
	{name: "string that looks like a key", list: by(match{"iss": "i", "n": "n7"}), claims: `{"iss":"i","n":7}`},
	{name: "number in another spelling", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":70e-1}`, want: true},
	{name: "number with a fraction of nothing", list: by(match{"iss": "i", "n": 7.0}), claims: `{"iss":"i","n":7.0}`, want: true},
	{name: "zero and minus zero", list: by(match{"iss": "i", "n": 0}), claims: `{"iss":"i","n":-0}`, want: true},
	{name: "json.Number", list: by(match{"iss": "i", "n": json.Number("7")}), claims: `{"iss":"i","n":7}`, want: true},
	{name: "fraction", list: by(match{"iss": "i", "n": 1.5}), claims: `{"iss":"i","n":15e-1}`, want: true},
	{name: "number beyond float64", list: by(match{"iss": "i", "n": int64(9007199254740993)}), claims: `{"iss":"i","n":9007199254740993}`, want: true},
	{name: "its neighbour", list: by(match{"iss": "i", "n": int64(9007199254740993)}), claims: `{"iss":"i","n":9007199254740992}`},
	{name: "number beyond int64", list: by(match{"iss": "i", "n": uint64(math.MaxUint64)}), claims: `{"iss":"i","n":18446744073709551615}`, want: true},
	{name: "number beyond float64's range", list: by(match{"iss": "i", "n": 7}), claims: `{"iss":"i","n":1e400}`},
	{name: "bool", list: by(match{"iss": "i", "b": true}), claims: `{"iss":"i","b":true}`, want: true},
	{name: "the other bool", list: by(match{"iss": "i", "b": true}), claims: `{"iss":"i","b":false}`},
	{name: "bool and string", list: by(match{"iss": "i", "b": true}), claims: `{"iss":"i","b":"true"}`},
	{name: "null", list: by(match{"iss": "i", "b": "null"}), claims: `{"iss":"i","b":null}`},
	{name: "object", list: by(match{"iss": "i", "b": "{}"}), claims: `{"iss":"i","b":{}}`},
	{name: "a jti of 1 MB", list: by(match{"iss": "i", "jti": "1"}), claims: `{"iss":"i","jti":"` + strings.Repeat("1", 1<<20) + `"}`},
	{name: "a type of one's own", list: by(match{"iss": "i", "sub": oauthz.Secret("s"), "n": time.Duration(7)}), claims: `{"iss":"i","sub":"s","n":7}`, want: true},
	{name: "array that has it", list: by(match{"iss": "i", "groups": "b"}), claims: `{"iss":"i","groups":["a","b"]}`, want: true},
	{name: "array that does not have it", list: by(match{"iss": "i", "groups": "c"}), claims: `{"iss":"i","groups":["a","b"]}`},
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
	{name: "a token cannot claim its own hash", list: by(match{"iss": "i", oauthz.MatchTokenHash: "h"}), claims: `{"iss":"i","token_sha256":"h"}`},
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
			guard := newGuard(t, oauthz.Config{Introspector: knows(tt.claims), RevocationLists: []oauthz.RevocationList{list}})
			want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
		})
	}
}

// MatchTenant compares the tenant that the introspector set, not a claim of the token.
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

// Revoked compares the fields that an introspector set: for example, an issuer that the answer did not have.
func TestRevocationsSeeTheFields(t *testing.T) {
	t.Parallel()
	list := revocations(t, by(match{"iss": "filled", "sub": "s"})...)
	token := parse(t, `{"sub":"s"}`)
	token.Issuer = "filled"
	revoked, err := list.Revoked(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, revoked)
}

// Numbers are equal if they have the same value, to the last digit, in any notation.
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
		var list oauthz.MemoryRevocations
		require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "i", "n": tt.match}}))
		token, err := oauthz.ParseToken([]byte(`{"iss":"i","n":` + tt.claim + `}`))
		require.NoError(t, err)
		got, err := list.Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got, "%v (%T) and %s", tt.match, tt.match, tt.claim)
	}
}

func TestRevokeRefusesNumbersThatJSONDoesNotHave(t *testing.T) {
	t.Parallel()
	for _, bad := range []any{json.Number("007"), json.Number("+7"), json.Number("1e99999999999"), json.Number(""), json.Number("7,8"), json.Number("true")} {
		var list oauthz.MemoryRevocations
		assert.Error(t, list.Revoke(t.Context(), oauthz.Revocation{Match: map[string]any{"iss": "i", "n": bad}}), "%v", bad)
	}
}

// Different names of claims never count as the same, even if their texts joined are equal.
func TestRevocationsDistinguishNames(t *testing.T) {
	t.Parallel()
	var list oauthz.MemoryRevocations
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
