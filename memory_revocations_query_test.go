package oauthz_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// queryTests are queries of the entries of queried, and the indexes of the entries that they select.
var queryTests = []struct {
	name  string
	query oauthz.Query
	want  []int
}{
	{name: "all", want: []int{0, 1, 2}},
	{name: "a limit", query: oauthz.Query{Limit: 2}, want: []int{0, 1}},
	{name: "by subject", query: oauthz.Query{Match: match{"sub": "alice"}}, want: []int{0, 1}},
	{name: "by another subject", query: oauthz.Query{Match: match{"sub": "bob"}}},
	{name: "by subject, a limit", query: oauthz.Query{Match: match{"sub": "alice"}, Limit: 1}, want: []int{0}},
	{name: "by subject and jti", query: oauthz.Query{Match: match{"sub": "alice", "jti": "1"}}, want: []int{0}},
	{name: "by issuer", query: oauthz.Query{Match: match{"iss": "j"}}, want: []int{2}},
	{name: "by organisation and issuer", query: oauthz.Query{Match: match{"iss": "j", "org": "acme"}}, want: []int{2}},
	{name: "of another issuer", query: oauthz.Query{Match: match{"iss": "i", "org": "acme"}}},
	{name: "by number", query: oauthz.Query{Match: match{"n": 7.0}}, want: []int{2}},
	{name: "by number, another type", query: oauthz.Query{Match: match{"n": "7"}}},
	{name: "by bool", query: oauthz.Query{Match: match{"b": true}}, want: []int{2}},
	{name: "by a claim that none names", query: oauthz.Query{Match: match{"sid": "s"}}},
	{name: "expires from", query: oauthz.Query{ExpiresFrom: hours(2)}, want: []int{1, 2}},
	{name: "expires to", query: oauthz.Query{ExpiresTo: hours(2)}, want: []int{0}},
	{name: "issued from", query: oauthz.Query{IssuedFrom: hours(-1)}, want: []int{0, 2}},
	{name: "issued to", query: oauthz.Query{IssuedFrom: hours(-2), IssuedTo: hours(-1)}, want: []int{1}},
	{name: "revoked from", query: oauthz.Query{RevokedFrom: hours(-2)}, want: []int{1, 2}},
	{name: "revoked to", query: oauthz.Query{RevokedTo: hours(-2)}, want: []int{0}},
}

// hours returns a time so many hours after epoch.
func hours(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }

// queried are the entries of the list that is queried. The last one has expired.
var queried = []oauthz.Revocation{
	{Match: match{"iss": "i", "jti": "1", "sub": "alice"}, Expires: hours(1), At: hours(-3), Reason: "lost"},
	{Match: match{"iss": "i", "sub": "alice"}, IssuedUntil: hours(-2), Expires: hours(2), At: hours(-2)},
	{Match: match{"iss": "j", "org": "acme", "n": 7, "b": true}, At: hours(-1)},
	{Match: match{"iss": "j", "jti": "expired"}, Expires: hours(-1), At: hours(-9)},
}

func TestRevocationsAll(t *testing.T) {
	t.Parallel()
	list := revocations(t, queried...)
	for _, tt := range queryTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, err := list.All(tt.query)
			require.NoError(t, err)
			for range 2 { // an iterator can be used again
				var got []string
				for rev := range all {
					got = append(got, asJSON(t, rev))
				}
				var want []string
				for _, i := range tt.want {
					want = append(want, asJSON(t, queried[i]))
				}
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestAllOfAnEmptyList(t *testing.T) {
	t.Parallel()
	empty, err := new(oauthz.MemoryRevocations).All(oauthz.Query{})
	require.NoError(t, err)
	assert.Empty(t, slices.Collect(empty))
}

func TestAllReturnsEveryMistakeOfAQuery(t *testing.T) {
	t.Parallel()
	_, err := revocations(t).All(oauthz.Query{Match: match{"x": nil}, Limit: -1})
	assert.EqualError(t, err, "oauthz: query: match \"x\": a <nil> cannot be compared; want a string, a number or a bool\noauthz: query: Limit is negative")
}

// A query compares the type of the issuer too, and the caller may stop the iteration.
func TestRevocationsAllByIssuer(t *testing.T) {
	t.Parallel()
	list := revocations(t, by(match{"iss": "7"}, match{"iss": "7", "jti": "1"})...)
	assert.Len(t, held(t, list, oauthz.Query{Match: match{"iss": "7"}}), 2)
	assert.Empty(t, held(t, list, oauthz.Query{Match: match{"iss": 7}}))
	all, err := list.All(oauthz.Query{})
	require.NoError(t, err)
	seen := 0
	for range all {
		seen++
		break
	}
	assert.Equal(t, 1, seen)
}
