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
