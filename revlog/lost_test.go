package revlog_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// ids returns the numbers in [from, to), sorted as text.
func ids(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	slices.Sort(out)
	return out
}

// fleet opens lists on a log, and revokes tokens on each of them in turn.
func fleet(t *testing.T, log *scriptedLog, size, entries int, reported *reports) (lists []*revlog.List) {
	t.Helper()
	for range size {
		lists = append(lists, openReady(t, log, revlog.Config{Report: reported.add}))
	}
	for i := range entries {
		require.NoError(t, lists[i%size].Revoke(t.Context(), jti(strconv.Itoa(i))))
		synctest.Wait()
	}
	return lists
}

// Whatever part of the log is lost, each list reports it and is not healthy until the log has
// the entries again. They are appended once for all lists, and a list that is opened afterwards
// has all of them.
func TestLostEntriesAreAppendedAgainOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ lists, entries, lose int }{
		{1, 10, 1}, {20, 100, 1}, {20, 100, 40}, {20, 100, -1}, {3, 1700, 1300}, {3, 1700, -1},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &scriptedLog{batch: 1 << 30}
				var reported reports
				lists := fleet(t, log, tt.lists, tt.entries, &reported)
				log.Lose(tt.lose)
				synctest.Wait()
				require.Len(t, reported.all(), tt.lists, "at once, by each list")
				for _, list := range lists {
					assert.ErrorIs(t, list.Health(), revlog.ErrLost)
					wantRevoked(t, list, true, ids(0, tt.entries)...)
					wantRevoked(t, list, false, "another")
				}
				advance(15 * time.Second)
				assert.Equal(t, ids(0, tt.entries), idsInLog(t, log))
				for _, list := range append(lists, openReady(t, log, revlog.Config{})) {
					require.NoError(t, list.Health())
					wantRevoked(t, list, true, ids(0, tt.entries)...)
				}
				for _, err := range reported.all() {
					assert.ErrorIs(t, err, revlog.ErrLost)
				}
			})
		})
	}
}

// If an entry is lost before the list that appended it has read it, only that list can detect
// the loss, and its position is older than the entry.
func TestAnEntryLostBeforeItWasReadIsRestored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		var reported reports
		list := openReady(t, log, revlog.Config{Report: reported.add})
		advance(time.Second)
		log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			<-time.After(wait)
			return nil, after, ctx.Err()
		})
		advance(time.Second)
		require.NoError(t, list.Revoke(t.Context(), jti("1"), jti("2")))
		require.NoError(t, log.Memory.Append(t.Context(), jti("of another list")))
		log.Lose(2)
		log.setRead(nil)
		advance(3 * time.Second)
		require.Len(t, reported.all(), 1)
		assert.EqualError(t, reported.all()[0], "revlog: entries that the log acknowledged are missing from it: 1")
		advance(5 * time.Second)
		require.NoError(t, list.Health())
		assert.Equal(t, []string{"1", "2"}, idsInLog(t, log))
	})
}

// Entries that the log does not need any more are not treated as missing: those that end soon,
// and those that another entry covers.
func TestEndedEntriesAreNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		var reported reports
		list := openReady(t, log, revlog.Config{Report: reported.add})
		user := oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": "user", "tenant": 7.0}, IssuedUntil: time.Now()}
		later := user
		later.IssuedUntil = user.IssuedUntil.Add(time.Hour)
		short := jti("short")
		short.Expires = time.Now().Add(time.Hour)
		require.NoError(t, list.Revoke(t.Context(), short))
		require.NoError(t, list.Revoke(t.Context(), user))
		require.NoError(t, list.Revoke(t.Context(), later))
		synctest.Wait()
		advance(time.Hour + oauthz.MaxLeeway - 59*time.Second)
		log.Lose(-1)
		advance(10 * time.Second)
		require.NoError(t, list.Health())
		require.Len(t, reported.all(), 1)
		assert.EqualError(t, reported.all()[0], "revlog: entries that the log acknowledged are missing from it: 1")
		revs, _, err := log.Memory.Read(t.Context(), "", 0)
		require.NoError(t, err)
		require.Len(t, revs, 1)
		assert.True(t, later.IssuedUntil.Equal(revs[0].IssuedUntil))
	})
}

// A list that cannot append the missing entries reports each attempt, makes few attempts, and
// continues to answer. If a list fails while it appends, another list appends the rest.
func TestLostEntriesAreAppendedWhenTheLogAcceptsThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		var reported reports
		lists := fleet(t, log, 2, 1200, &reported)
		log.setAppend(func(context.Context, ...oauthz.Revocation) error { return errDown })
		log.Lose(-1)
		advance(time.Minute)
		assert.Less(t, len(reported.all()), 2+2*120)
		assert.Greater(t, len(reported.all()), 2+2*10)
		for _, list := range lists {
			assert.ErrorIs(t, list.Health(), revlog.ErrLost)
			wantRevoked(t, list, true, "0", "1199")
			wantRevoked(t, list, false, "another")
		}
		portions := 0
		log.setAppend(func(ctx context.Context, revs ...oauthz.Revocation) error {
			if portions++; portions == 2 { // the second portion of the first list to begin
				return errDown
			}
			return log.Memory.Append(ctx, revs...)
		})
		advance(20 * time.Second)
		assert.Equal(t, ids(0, 1200), idsInLog(t, log))
		require.NoError(t, lists[0].Health())
		require.NoError(t, lists[1].Health())
	})
}

// While one list appends many missing entries, the other lists do not append them.
func TestOneListRestoresForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		lists := fleet(t, log, 5, 0, &reports{})
		var revs []oauthz.Revocation
		for _, id := range ids(0, 6000) {
			revs = append(revs, jti(id))
		}
		require.NoError(t, log.Memory.Append(t.Context(), revs...))
		synctest.Wait()
		var appended atomic.Int64
		log.setAppend(func(ctx context.Context, revs ...oauthz.Revocation) error {
			<-time.After(200 * time.Millisecond)
			appended.Add(int64(len(revs)))
			return log.Memory.Append(ctx, revs...)
		})
		log.Lose(-1)
		advance(30 * time.Second)
		for _, list := range lists {
			require.NoError(t, list.Health())
		}
		assert.GreaterOrEqual(t, appended.Load(), int64(6000))
		assert.LessOrEqual(t, appended.Load(), int64(6000+4*500), "and one portion of each list that began at the same time")
	})
}

// While the list reads the log again, Revoke appends entries that the list holds, because the
// log may lack them.
func TestRevokeWhileReadingAgainAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		list := fleet(t, log, 1, 10, &reports{})[0]
		advance(time.Second)
		log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			if after == "10" {
				return nil, "", revlog.ErrTruncated
			}
			return hang(ctx, after, wait)
		})
		advance(2 * time.Second)
		require.NoError(t, list.Health(), "the loss is not known yet")
		require.NoError(t, list.Revoke(t.Context(), jti("9")))
		assert.Equal(t, append(ids(0, 10), "9"), idsInLog(t, log))
	})
}

// While entries are missing, Revoke appends an entry although the list holds it.
func TestRevokeWhileEntriesAreMissingAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		lists := fleet(t, log, 1, 10, &reports{})
		log.Lose(5)
		synctest.Wait()
		require.NoError(t, lists[0].Revoke(t.Context(), jti("9")))
		assert.Equal(t, []string{"0", "1", "2", "3", "4", "9"}, idsInLog(t, log))
		advance(5 * time.Second)
		require.NoError(t, lists[0].Health())
		assert.Equal(t, ids(0, 10), idsInLog(t, log))
	})
}

// After a loss a list continues from an older position: of a long log it reads again no more
// entries than were lost.
func TestReadsOnFromAnOlderPosition(t *testing.T) {
	t.Parallel()
	for _, lose := range []int{1, 10, 100, 1000} {
		t.Run(strconv.Itoa(lose), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &scriptedLog{batch: 1 << 30}
				list := openReady(t, log, revlog.Config{})
				for i := range 5000 {
					require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(i))))
					synctest.Wait()
				}
				var read atomic.Int64
				log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
					assert.NotEmpty(t, after)
					revs, next, err := log.Memory.Read(ctx, after, wait)
					read.Add(int64(len(revs)))
					return revs, next, err
				})
				looks := len(log.readCalls())
				advance(time.Second)
				log.Lose(lose)
				synctest.Wait()
				assert.LessOrEqual(t, read.Load(), int64(lose+1))
				assert.LessOrEqual(t, len(log.readCalls())-looks, 70)
				assert.ErrorIs(t, list.Health(), revlog.ErrLost)
				advance(20 * time.Second)
				require.NoError(t, list.Health())
				assert.Equal(t, ids(0, 5000), idsInLog(t, log))
			})
		})
	}
}

// Lists that must read the whole of a long log again do not do so at the same time.
func TestReadingEverythingAgainIsSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs []*scriptedLog
		for range 20 {
			log := &scriptedLog{batch: 1}
			log.setRead(oneByOne)
			openReady(t, log, revlog.Config{})
			logs = append(logs, log)
		}
		advance(2 * time.Second)
		start := time.Now()
		for _, log := range logs {
			gone := false
			log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
				if after != "" && !gone {
					return nil, "", revlog.ErrTruncated
				}
				gone = true
				return oneByOne(ctx, after, wait)
			})
		}
		advance(10 * time.Second)
		var again []time.Time
		for _, log := range logs {
			at := time.Time{}
			for _, l := range log.readCalls() {
				if l.after == "1" && l.at.After(start) {
					at = l.at // the last time: before that, the list checked whether this position still exists
				}
			}
			again = append(again, at)
		}
		require.Len(t, again, 20)
		slices.SortFunc(again, time.Time.Compare)
		assert.Greater(t, again[19].Sub(again[0]), 1500*time.Millisecond)
		assert.Greater(t, again[14].Sub(again[5]), 300*time.Millisecond)
	})
}

// oneByOne is the Read of a log of five entries. It returns one entry at a time.
func oneByOne(_ context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	n, _ := strconv.Atoi(after)
	if n == 5 {
		<-time.After(wait)
		return nil, after, nil
	}
	return []oauthz.Revocation{jti("entry " + after)}, strconv.Itoa(n + 1), nil
}
