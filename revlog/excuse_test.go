package revlog_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// A list that reads again what it holds is not late by that: it has MaxLag from when it began. If that is too short, or it was late
// already, it cannot tell.
func TestReadingAgainWhatItHoldsIsNotLate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		away         time.Duration // how long the log cannot be read before
		entry        time.Duration // how long each of ten entries takes then
		well, unwell []int         // the seconds at which the list can tell, and cannot
	}{
		{name: "in time", away: 5 * time.Second, entry: 850 * time.Millisecond, well: []int{0, 1, 3, 5, 7, 9, 11}},
		{name: "too slow", away: 5 * time.Second, entry: 1500 * time.Millisecond, well: []int{0, 1, 3, 5, 7, 9}, unwell: []int{13}},
		{name: "late before", away: 12 * time.Second, entry: 800 * time.Millisecond, unwell: []int{0, 1, 3, 5, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &script{}
				list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
				for i := range 10 {
					require.NoError(t, list.Revoke(t.Context(), jti(strconv.Itoa(i))))
				}
				pass(2 * time.Second)
				log.reading(down)
				pass(tt.away)
				log.reading(slowly(tt.entry))
				for second := range 15 {
					if slices.Contains(tt.well, second) {
						assert.NoError(t, list.Health(), second)
					}
					if slices.Contains(tt.unwell, second) {
						assert.ErrorIs(t, list.Health(), revlog.ErrLagging, second)
					}
					pass(time.Second)
				}
				pass(10 * time.Second)
				require.NoError(t, list.Health())
			})
		})
	}
}

// slowly reads a log of ten entries from the beginning, each of which takes so long. It has no older positions.
func slowly(entry time.Duration) readFunc {
	return func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
		read, again := strings.CutPrefix(after, "again ")
		n, _ := strconv.Atoi(read)
		switch {
		case after != "" && !again:
			return nil, "", revlog.ErrTruncated
		case n == 10:
			<-time.After(wait)
			return nil, after, nil
		}
		<-time.After(entry)
		return []oauthz.Revocation{jti(strconv.Itoa(n))}, "again " + strconv.Itoa(n+1), ctx.Err()
	}
}
