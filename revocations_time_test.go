package oauthz_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// countRevoked returns how many of n tokens, by their jti, a list refuses.
func countRevoked(t *testing.T, list oauthz.RevocationList, n int) (count int) {
	t.Helper()
	for i := range n {
		revoked, err := list.Revoked(t.Context(), &oauthz.Token{Issuer: "i", ID: fmt.Sprint(i)})
		require.NoError(t, err)
		if revoked {
			count++
		}
	}
	return count
}

// A wall clock that is ahead for a moment costs no entry: neither those that are held, nor those that are added at that moment.
func TestClockAheadForAMomentLosesNoRevocation(t *testing.T) {
	t.Parallel()
	const n = 3_000
	for _, tt := range []struct {
		name          string
		before, ahead time.Duration // how long the clock is right, and then ahead
	}{
		{"from the start", 0, oauthz.MaxLeeway - 1},
		{"after a while", 30 * time.Minute, oauthz.MaxLeeway - 1},
		{"for one reading", 30 * time.Minute, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ahead := time.Duration(0)
				list := &oauthz.Revocations{Now: func() time.Time { return time.Now().Add(ahead) }}
				expires := time.Now().Add(2 * time.Hour)
				revoke := func(first, n int) { require.NoError(t, list.Revoke(t.Context(), batch(first, n, expires)...)) }
				if tt.before > 0 {
					revoke(0, n/3)
					<-time.After(tt.before / 2)
					revoke(0, 1)
					<-time.After(tt.before / 2)
				}
				ahead = 24 * time.Hour
				revoke(0, n/3*2) // more than there is room for: the index is copied, or grows
				<-time.After(tt.ahead)
				assert.Zero(t, countRevoked(t, list, n), "by a clock that is ahead all have expired")
				ahead = 0
				revoke(n/3*2, n/3)
				assert.Equal(t, n, countRevoked(t, list, n))
			})
		})
	}
}

// What a list keeps when it discards expired entries is found as before, also by claims that are arrays.
func TestArraysAreFoundWhenExpiredEntriesAreDiscarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var list oauthz.Revocations
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "a": "x7", "b": "y7"})...))
		require.NoError(t, list.Revoke(t.Context(), batch(0, 100, time.Now())...))
		<-time.After(oauthz.MaxLeeway)
		require.NoError(t, list.Revoke(t.Context()))
		<-time.After(oauthz.MaxLeeway)
		require.NoError(t, list.Revoke(t.Context()))
		for _, n := range []int{7, 8} {
			token := parse(t, fmt.Sprintf(`{"iss":"i","a":%s,"b":%s}`, elements("x", n), elements("y", n)))
			revoked, err := list.Revoked(t.Context(), token)
			require.NoError(t, err)
			assert.Equal(t, n == 8, revoked)
		}
	})
}

// A list is asked without a Guard too: a token that was issued too far ahead does not escape an IssuedUntil there.
func TestRevokedOfATokenIssuedTooFarAhead(t *testing.T) {
	t.Parallel()
	limited := until(0) // up to epoch
	for _, tt := range []struct {
		ahead time.Duration
		want  bool
	}{
		{-time.Second, true}, {0, true}, {1, false}, {oauthz.MaxLeeway, false}, {oauthz.MaxLeeway + 1, true}, {24 * time.Hour, true},
	} {
		token := &oauthz.Token{Issuer: fmt.Sprint(limited[0].Match["iss"]), Subject: fmt.Sprint(limited[0].Match["sub"]), IssuedAt: epoch.Add(tt.ahead)}
		revoked, err := revocations(t, limited...).Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, tt.want, revoked, "%v", tt.ahead)
		revoked, err = revocations(t, by(match{"iss": token.Issuer, "sub": "another"})...).Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.False(t, revoked, "an entry that does not match")
	}
}

// Entries that have expired for certain do not count among the 64 of one Match.
func TestExpiredEntriesOfOneMatchAreNotCombined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var list oauthz.Revocations
		start := time.Now()
		require.NoError(t, list.Revoke(t.Context(), batch(0, 1_000, time.Time{})...)) // beside which the list keeps a few that have expired
		revs := front(65)
		for i := range revs {
			revs[i].Expires = start.Add(time.Hour - time.Duration(i)*time.Second)
		}
		require.NoError(t, list.Revoke(t.Context(), revs[:64]...))
		<-time.After(2 * time.Hour)
		require.NoError(t, list.Revoke(t.Context()))
		<-time.After(oauthz.MaxLeeway)
		revs[64].IssuedUntil, revs[64].Expires = revs[0].IssuedUntil.Add(-1), time.Now().Add(time.Hour) // which covers none of the others
		require.NoError(t, list.Revoke(t.Context(), revs[64]))
		assert.True(t, list.Covers(revs[64]))
		all := held(t, &list, oauthz.Query{Match: match{"sub": "s"}})
		require.Len(t, all, 1)
		assert.True(t, all[0].IssuedUntil.Equal(revs[64].IssuedUntil))
	})
}
