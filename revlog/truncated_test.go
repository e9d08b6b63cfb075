package revlog_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// A log that has deleted the next entry is read again from the beginning. The entries that the
// list holds still apply. Those of them that the log should have kept are reported and appended
// again.
func TestATruncatedLogIsReadAgainFromTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		var reported reports
		list := openReady(t, log, revlog.Config{Report: reported.add})
		require.NoError(t, list.Revoke(t.Context(), jti("1"), jti("2")))
		advance(time.Second)
		log.setRead(down)
		advance(time.Second)
		require.NoError(t, log.Memory.Append(t.Context(), jti("3"), jti("4")))
		log.Truncate(3)
		log.setRead(nil)
		advance(7 * time.Second)
		wantRevoked(t, list, true, "1", "2", "4")
		wantRevoked(t, list, false, "3") // which the list never read
		advance(5 * time.Second)
		require.NoError(t, list.Health())
		assert.Equal(t, []string{"1", "2", "4"}, idsInLog(t, log))
		var lost []error
		for _, err := range reported.all() {
			if errors.Is(err, revlog.ErrLost) {
				lost = append(lost, err)
			} else {
				assert.ErrorIs(t, err, errDown)
			}
		}
		require.Len(t, lost, 1)
		assert.EqualError(t, lost[0], "revlog: entries that the log acknowledged are missing from it: 2")
	})
}

// idsInLog returns the jti of every entry of a log, sorted.
func idsInLog(t testing.TB, log *scriptedLog) (ids []string) {
	t.Helper()
	revs, _, err := log.Memory.Read(t.Context(), "", 0)
	require.NoError(t, err)
	for _, rev := range revs {
		ids = append(ids, rev.Match["jti"].(string))
	}
	slices.Sort(ids)
	return ids
}

// A truncation is not a failure if the list had caught up before it. A log without a beginning
// fails at once.
func TestATruncationIsReportedOnlyIfItRepeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		var reported reports
		list := openReady(t, log, revlog.Config{Report: reported.add})
		for range 3 {
			once := true
			log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
				if once {
					once = false
					return nil, "", revlog.ErrTruncated
				}
				return log.Memory.Read(ctx, after, wait)
			})
			advance(7 * time.Second) // the longest pause, and one more Read
			require.NoError(t, list.Health())
		}
		assert.Empty(t, reported.all())

		none := &scriptedLog{}
		none.setRead(func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			return nil, "", revlog.ErrTruncated
		})
		open(t, none, revlog.Config{Report: reported.add})
		synctest.Wait()
		assert.Equal(t, []error{revlog.ErrTruncated}, reported.all())
		assert.Len(t, none.readCalls(), 1)
	})
}
