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

// A list that reads entries again that it holds is not late because of that: it has MaxLag from
// the time when it began. If that is too short, or if the list was late before, it cannot tell.
func TestReadingKnownEntriesAgainIsNotLate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		away          time.Duration // how long the log cannot be read before
		entry         time.Duration // how long each of ten entries takes after that
		healthy, late []int         // the seconds at which the list can tell, and cannot tell
	}{
		{name: "in time", away: 5 * time.Second, entry: 700 * time.Millisecond, healthy: []int{0, 1, 3, 5, 7, 9, 11}},
		{name: "too slow", away: 5 * time.Second, entry: 1500 * time.Millisecond, healthy: []int{0, 1, 3, 5, 7, 9}, late: []int{13}},
		{name: "late before", away: 12 * time.Second, entry: 800 * time.Millisecond, late: []int{0, 1, 3, 5, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &scriptedLog{}
				list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
				for i := range 10 {
					require.NoError(t, list.Revoke(t.Context(), jti(strconv.Itoa(i))))
				}
				advance(2 * time.Second)
				log.setRead(down)
				advance(tt.away)
				log.setRead(readSlowly(tt.entry))
				for second := range 15 {
					if slices.Contains(tt.healthy, second) {
						assert.NoError(t, list.Health(), second)
					}
					if slices.Contains(tt.late, second) {
						assert.ErrorIs(t, list.Health(), revlog.ErrLagging, second)
					}
					advance(time.Second)
				}
				advance(10 * time.Second)
				require.NoError(t, list.Health())
			})
		})
	}
}

// readSlowly returns a Read of a log of ten entries, which begins at the beginning and takes so
// long for each entry. The log has no older positions.
func readSlowly(entry time.Duration) readFunc {
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
