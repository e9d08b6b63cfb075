package oauthz_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

func TestCoversIsOfOneEntryWithTheSameMatch(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	list := oauthz.Revocations{Now: func() time.Time { return now }}
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
		{"whenever issued", rev(map[string]any{"n": 7}, time.Time{}, hour), false},
		{"longer", rev(map[string]any{"n": 7}, now, hour.Add(1)), false},
		{"never ending", rev(map[string]any{"n": 7}, now, time.Time{}), false},
		{"all of a subject", rev(map[string]any{"sub": "s"}, time.Time{}, time.Time{}), true},
		{"of a subject and more", rev(map[string]any{"sub": "s", "n": 7}, now, hour), false},
		{"another shape", rev(map[string]any{"jti": "s"}, now, hour), false},
		{"one that no list takes", oauthz.Revocation{}, false},
	} {
		assert.Equal(t, tt.want, list.Covers(tt.rev), tt.name)
	}
}

// Beyond 64 entries of one Match the list combines some. What only a combined entry covers is in no log: a list over a log must write it.
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
	assert.Len(t, held(t, list, oauthz.Query{}), 64, "to the list itself it adds nothing")
	everything := oauthz.Revocation{Match: match{"iss": "i", "sub": "s"}}
	require.NoError(t, list.Revoke(t.Context(), everything))
	assert.True(t, list.Covers(between), "by one that was added so")
	assert.Equal(t, []oauthz.Revocation{everything}, held(t, list, oauthz.Query{}))
}
