package oauthz_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// An entry is kept until the last token that it can match has expired, with the greatest leeway of an introspector.
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
				list := &oauthz.MemoryRevocations{Now: func() time.Time { return now }}
				require.NoError(t, list.Revoke(t.Context(),
					oauthz.Revocation{Match: match{"iss": "i", "jti": "ends"}, Expires: epoch},
					oauthz.Revocation{Match: match{"iss": "i", "sid": "ends"}, Expires: epoch},
					oauthz.Revocation{Match: match{"iss": "i", "sid": "stays"}},
				))
				now = epoch.Add(tt.after)
				if swept { // Revoke removes expired entries
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

// Of two entries for the same claims, the one that expires later counts, in either order.
func TestRevocationsOverlap(t *testing.T) {
	t.Parallel()
	short := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}, Expires: epoch.Add(-time.Hour)}
	long := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch, Expires: epoch.Add(time.Hour)}
	for _, list := range []*oauthz.MemoryRevocations{revocations(t, short, long, short), revocations(t, long, short, long)} {
		revoked, _ := list.Revoked(t.Context(), parse(t, iat("0")))
		assert.True(t, revoked)
		revoked, _ = list.Revoked(t.Context(), parse(t, iat("1")))
		assert.False(t, revoked)
	}
}

// A later revocation replaces the entries that it covers, and no other.
func TestRevocationsThatCoverOthers(t *testing.T) {
	t.Parallel()
	epoch := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	now := epoch
	list := oauthz.MemoryRevocations{Now: func() time.Time { return now }}
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
	revoke(time.Hour, 0)           // narrower, and never expires
	assert.True(t, revoked(2*time.Hour))
	assert.True(t, revoked(time.Hour))
	now = epoch.Add(2 * time.Hour)
	assert.False(t, revoked(2*time.Hour), "the wider one has expired")
	assert.True(t, revoked(time.Hour), "the other one has not")
	for i := range 1000 {
		revoke(time.Hour+time.Duration(i)*time.Second, 0)
	}
	now = epoch.Add(24 * time.Hour)
	assert.False(t, revoked(24*time.Hour))
}

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

// A wall clock that is ahead for a moment costs no entry: neither entries that are held, nor entries that are added at that moment.
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
				list := &oauthz.MemoryRevocations{Now: func() time.Time { return time.Now().Add(ahead) }}
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

// A list that discards expired entries still finds the others, also by claims that are arrays.
func TestArraysAreFoundWhenExpiredEntriesAreDiscarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var list oauthz.MemoryRevocations
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

// A list can be used without a Guard: there too, a token with an iat far in the future does not escape an IssuedUntil.
func TestRevokedTreatsIatFarInTheFutureAsMissing(t *testing.T) {
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

// Not parallel: it measures the heap.
func TestExpiredEntriesAreDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := new(oauthz.MemoryRevocations)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "stays", "sub": "s"})...))
		before := heap()
		const n = 30_000
		expires := time.Now().Add(time.Hour)
		for i := range n {
			rev := oauthz.Revocation{Match: match{"iss": "i", "jti": fmt.Sprint("token-", i)}, Expires: expires}
			require.NoError(t, list.Revoke(t.Context(), rev))
		}
		<-time.After(2 * time.Hour)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "jti": "another"})...))
		assert.Greater(t, heap()-before, int64(n*40), "one reading of the clock discards nothing")
		<-time.After(oauthz.MaxLeeway)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "jti": "another"})...))
		assert.Less(t, heap()-before, int64(n))
		for claims, want := range map[string]bool{
			`{"iss":"stays","sub":"s"}`: true, `{"iss":"i","jti":"another"}`: true, `{"iss":"i","jti":"token-7"}`: false,
		} {
			revoked, err := list.Revoked(t.Context(), parse(t, claims))
			require.NoError(t, err)
			assert.Equal(t, want, revoked, claims)
		}
	})
}

// Entries that were added at once are discarded soon after they expire, beside those that expire later and those that never do.
// Not parallel: it measures the heap.
func TestExpiredBatchIsDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, start, before := new(oauthz.MemoryRevocations), time.Now(), heap()
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

// A user who logs out again and again leaves one entry. Not parallel: it measures the heap.
func TestRepeatedRevocationsAreOneEntry(t *testing.T) {
	list := revocations(t)
	before := heap()
	for i := range 20_000 {
		require.NoError(t, list.Revoke(t.Context(), until(i)...))
	}
	assert.Less(t, heap()-before, int64(1<<18))
	all, err := list.All(oauthz.Query{})
	require.NoError(t, err)
	got := slices.Collect(all)
	require.Len(t, got, 1)
	assert.True(t, epoch.Add(19_999*time.Second).Equal(got[0].IssuedUntil))
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
