package oauthz_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

func TestCoversIsOfOneEntryWithTheSameMatch(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	list := oauthz.MemoryRevocations{Now: func() time.Time { return now }}
	rev := func(match map[string]any, until, expires time.Time) oauthz.Revocation {
		match["iss"] = "i"
		return oauthz.Revocation{Match: match, IssuedUntil: until, Expires: expires}
	}
	assert.False(t, list.Covers(rev(map[string]any{"n": 7}, now, now)), "an empty list")
	hour := now.Add(time.Hour)
	require.NoError(t, list.Revoke(t.Context(), rev(map[string]any{"n": 7}, now, hour), rev(map[string]any{"sub": "s"}, time.Time{}, time.Time{})))
	for _, tt := range []struct {
		name string
		rev  oauthz.Revocation
		want bool
	}{
		{"the same", rev(map[string]any{"n": 7}, now, hour), true},
		{"the same number", rev(map[string]any{"n": 7.0}, now, hour), true},
		{"a text", rev(map[string]any{"n": "7"}, now, hour), false},
		{"earlier and shorter", rev(map[string]any{"n": 7}, now.Add(-1), hour.Add(-1)), true},
		{"later", rev(map[string]any{"n": 7}, now.Add(1), hour), false},
		{"without IssuedUntil", rev(map[string]any{"n": 7}, time.Time{}, hour), false},
		{"longer", rev(map[string]any{"n": 7}, now, hour.Add(1)), false},
		{"never expiring", rev(map[string]any{"n": 7}, now, time.Time{}), false},
		{"all of a subject", rev(map[string]any{"sub": "s"}, time.Time{}, time.Time{}), true},
		{"of a subject and more", rev(map[string]any{"sub": "s", "n": 7}, now, hour), false},
		{"another shape", rev(map[string]any{"jti": "s"}, now, hour), false},
		{"not valid", oauthz.Revocation{}, false},
	} {
		assert.Equal(t, tt.want, list.Covers(tt.rev), tt.name)
	}
}

// Beyond 64 entries of one Match the list combines some. A revocation that only a combined entry covers is not in a log, so a list over a log must write it.
func TestCoversIgnoresCombinedEntries(t *testing.T) {
	t.Parallel()
	list := revocations(t, front(65)...) // the last, issued at 64 s, becomes one with that of 63 s
	all := front(66)
	for i, rev := range all[:63] {
		assert.True(t, list.Covers(rev), i)
	}
	between := all[64]
	between.Expires = all[63].Expires
	for _, rev := range []oauthz.Revocation{all[63], all[64], between, all[65]} {
		assert.False(t, list.Covers(rev))
	}
	require.NoError(t, list.Revoke(t.Context(), between))
	assert.Len(t, held(t, list, oauthz.Query{}), 64, "the list itself already covers it")
	everything := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}}
	require.NoError(t, list.Revoke(t.Context(), everything))
	assert.True(t, list.Covers(between), "by an added entry")
	assert.Equal(t, []oauthz.Revocation{everything}, held(t, list, oauthz.Query{}))
}

// An entry that covers several replaces all of them.
func TestRevocationThatCoversSeveral(t *testing.T) {
	t.Parallel()
	list := revocations(t)
	for i := range 5 { // each IssuedUntil is later, each Expires earlier
		rev := until(i)[0]
		rev.Expires = epoch.Add(time.Hour - time.Duration(i)*time.Minute)
		require.NoError(t, list.Revoke(t.Context(), rev))
		assert.Len(t, held(t, list, oauthz.Query{}), i+1)
	}
	for range 2 { // the second time adds no entry
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
	unlimited := oauthz.Revocation{Match: others[0].Match, Expires: others[63].Expires.Add(-time.Hour)}
	for _, tt := range []struct {
		name                string
		held                []oauthz.Revocation
		until, expires      time.Time
		wantUntil, wantEnds time.Time
		want                int // entries
	}{
		{"the 64th", others[1:], at(0), others[0].Expires, at(0), others[0].Expires, 64},
		{"the 64th, beside one without IssuedUntil", append(others[1:], unlimited), at(0), others[0].Expires, at(0), others[0].Expires, 65},
		{"the 65th", others, at(20.6), others[20].Expires.Add(-1), at(21), others[20].Expires.Add(-1), 64},
		{"closer to the earlier", others, at(20.4), others[20].Expires.Add(-1), at(20.4), others[20].Expires, 64},
		{"as close to both", others, at(20.5), others[20].Expires.Add(-1), at(20.5), others[20].Expires, 64},
		{"the last", others, at(64), others[63].Expires.Add(-1), at(64), others[63].Expires, 64},
		{"one that covers another", others, at(20.6), others[20].Expires, at(20.6), others[20].Expires, 64},
		{"one that covers several", others, at(20.6), others[10].Expires, at(20.6), others[10].Expires, 54},
		{"one that is covered", others, at(19.9), others[20].Expires, at(20), others[20].Expires, 64},
		{"without IssuedUntil", others, time.Time{}, others[63].Expires.Add(-1), time.Time{}, others[63].Expires.Add(-1), 65},
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

// Entries that have certainly expired do not count among the 64 of one Match.
func TestExpiredEntriesOfOneMatchAreNotCombined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var list oauthz.MemoryRevocations
		start := time.Now()
		require.NoError(t, list.Revoke(t.Context(), batch(0, 1_000, time.Time{})...)) // with so many entries, the list keeps a few expired ones
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
