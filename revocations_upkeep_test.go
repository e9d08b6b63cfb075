package oauthz_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// batch is n revocations, from the first on.
func batch(first, n int, expires time.Time) (revs []oauthz.Revocation) {
	for i := range n {
		revs = append(revs, oauthz.Revocation{Match: match{"iss": "i", "jti": fmt.Sprint(first + i)}, Expires: expires})
	}
	return revs
}

// held returns what a list holds.
func held(t *testing.T, list *oauthz.Revocations, q oauthz.Query) []oauthz.Revocation {
	t.Helper()
	all, err := list.All(q)
	require.NoError(t, err)
	return slices.Collect(all)
}

// Many at once have room too, whether the list has few, many, or many that are over.
func TestRevocationsInBatches(t *testing.T) {
	t.Parallel()
	now := epoch
	list := &oauthz.Revocations{Now: func() time.Time { return now }}
	total := 0
	for _, n := range []int{1, 15, 100, 30, 3000, 1, 5000} {
		if n == 5000 { // all that there was is over
			now = now.Add(2 * time.Hour)
		}
		require.NoError(t, list.Revoke(t.Context(), batch(total, n, now.Add(time.Hour))...))
		for i := range n {
			revoked, err := list.Revoked(t.Context(), &oauthz.Token{Issuer: "i", ID: fmt.Sprint(total + i)})
			require.NoError(t, err)
			require.True(t, revoked, "%d of %d", i, n)
			revoked, err = list.Revoked(t.Context(), &oauthz.Token{Issuer: "i", ID: fmt.Sprint("other-", i)})
			require.NoError(t, err)
			require.False(t, revoked)
		}
		total += n
	}
	assert.Len(t, held(t, list, oauthz.Query{}), 5000)
}

// Entries that were added at once are discarded soon after they expire, beside those that expire later and those that never do.
// Not parallel: it measures the heap.
func TestExpiredBatchIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, start, before := new(oauthz.Revocations), time.Now(), heap()
		const n = 30_000
		revs := slices.Concat(batch(0, n, start.Add(time.Hour)), batch(n, n, start.Add(3*time.Hour)), by(match{"iss": "i", "sub": "stays"}))
		require.NoError(t, list.Revoke(t.Context(), revs...))
		revs = nil
		assert.Greater(t, heap()-before, int64(2*n*40))
		for i, most := range []int64{n * 70, n * 10} {
			<-time.After(2*time.Hour - oauthz.MaxLeeway)
			require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "sub": fmt.Sprint(i)})...))
			<-time.After(oauthz.MaxLeeway)
			require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "sub": fmt.Sprint(i)})...))
			assert.Less(t, heap()-before, most)
			assert.Len(t, held(t, list, oauthz.Query{}), n-n*i+2+i)
		}
	})
}

// One that covers several takes the place of them all.
func TestRevocationThatCoversSeveral(t *testing.T) {
	t.Parallel()
	list := revocations(t)
	for i := range 5 { // issued until ever later, and over ever sooner
		rev := until(i)[0]
		rev.Expires = epoch.Add(time.Hour - time.Duration(i)*time.Minute)
		require.NoError(t, list.Revoke(t.Context(), rev))
		assert.Len(t, held(t, list, oauthz.Query{}), i+1)
	}
	for range 2 { // the same again is not another
		require.NoError(t, list.Revoke(t.Context(), until(10)...))
		got := held(t, list, oauthz.Query{})
		require.Len(t, got, 1)
		assert.Equal(t, epoch.Add(10*time.Second), got[0].IssuedUntil)
	}
}

// Only a 65th entry of one Match that has an IssuedUntil is combined, and only if it covers none of the others.
func TestEntriesOfOneMatchThatAreCombined(t *testing.T) {
	t.Parallel()
	others := front(64)
	at := func(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }
	ever := oauthz.Revocation{Match: others[0].Match, Expires: others[63].Expires.Add(-time.Hour)}
	for _, tt := range []struct {
		name                string
		held                []oauthz.Revocation
		until, expires      time.Time
		wantUntil, wantEnds time.Time
		want                int // entries
	}{
		{"the 64th", others[1:], at(0), others[0].Expires, at(0), others[0].Expires, 64},
		{"the 64th, beside one of whenever issued", append(others[1:], ever), at(0), others[0].Expires, at(0), others[0].Expires, 65},
		{"the 65th", others, at(20.6), others[20].Expires.Add(-1), at(21), others[20].Expires.Add(-1), 64},
		{"closer to the earlier", others, at(20.4), others[20].Expires.Add(-1), at(20.4), others[20].Expires, 64},
		{"as close to both", others, at(20.5), others[20].Expires.Add(-1), at(20.5), others[20].Expires, 64},
		{"the last", others, at(64), others[63].Expires.Add(-1), at(64), others[63].Expires, 64},
		{"one that covers another", others, at(20.6), others[20].Expires, at(20.6), others[20].Expires, 64},
		{"one that covers several", others, at(20.6), others[10].Expires, at(20.6), others[10].Expires, 54},
		{"one that is covered", others, at(19.9), others[20].Expires, at(20), others[20].Expires, 64},
		{"whenever issued", others, time.Time{}, others[63].Expires.Add(-1), time.Time{}, others[63].Expires.Add(-1), 65},
		{"never expiring", others, at(-1), time.Time{}, at(0), time.Time{}, 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := revocations(t, tt.held...)
			require.NoError(t, list.Revoke(t.Context(), oauthz.Revocation{Match: others[0].Match, IssuedUntil: tt.until, Expires: tt.expires}))
			all := held(t, list, oauthz.Query{})
			assert.Len(t, all, tt.want)
			assert.True(t, slices.ContainsFunc(all, func(r oauthz.Revocation) bool {
				return r.IssuedUntil.Equal(tt.wantUntil) && r.Expires.Equal(tt.wantEnds)
			}))
		})
	}
}

// A query compares the issuer by type too, and whoever has seen enough may stop.
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
