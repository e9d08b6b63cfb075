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

// ids returns the numbers from one to another, sorted as text.
func ids(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	slices.Sort(out)
	return out
}

// fleet opens lists on a log and has them revoke tokens in turn.
func fleet(t *testing.T, log *script, size, entries int, told *reports) (lists []*revlog.List) {
	t.Helper()
	for range size {
		lists = append(lists, openReady(t, log, revlog.Config{Report: told.add}))
	}
	for i := range entries {
		require.NoError(t, lists[i%size].Revoke(t.Context(), jti(strconv.Itoa(i))))
		synctest.Wait()
	}
	return lists
}

// Whatever part of the log vanishes, each list reports it and is not healthy until it is there again. It is appended once for all
// of them, and a list that is opened then knows all.
func TestLostEntriesAreAppendedAgainOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ lists, entries, lose int }{
		{1, 10, 1}, {20, 100, 1}, {20, 100, 40}, {20, 100, -1}, {3, 1700, 1300}, {3, 1700, -1},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &script{batch: 1 << 30}
				var told reports
				lists := fleet(t, log, tt.lists, tt.entries, &told)
				log.Lose(tt.lose)
				synctest.Wait()
				require.Len(t, told.all(), tt.lists, "at once, by each list")
				for _, list := range lists {
					assert.ErrorIs(t, list.Health(), revlog.ErrLost)
					wantRevoked(t, list, true, ids(0, tt.entries)...)
					wantRevoked(t, list, false, "another")
				}
				pass(15 * time.Second)
				assert.Equal(t, ids(0, tt.entries), inLog(t, log))
				for _, list := range append(lists, openReady(t, log, revlog.Config{})) {
					require.NoError(t, list.Health())
					wantRevoked(t, list, true, ids(0, tt.entries)...)
				}
				for _, err := range told.all() {
					assert.ErrorIs(t, err, revlog.ErrLost)
				}
			})
		})
	}
}

// An entry that vanishes before the list that appended it has read it is missed by that list alone, and the position is one of
// before it.
func TestLostBeforeItWasRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		var told reports
		list := openReady(t, log, revlog.Config{Report: told.add})
		pass(time.Second)
		log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			<-time.After(wait)
			return nil, after, ctx.Err()
		})
		pass(time.Second)
		require.NoError(t, list.Revoke(t.Context(), jti("1"), jti("2")))
		require.NoError(t, log.Memory.Append(t.Context(), jti("of another list")))
		log.Lose(2)
		log.reading(nil)
		pass(3 * time.Second)
		require.Len(t, told.all(), 1)
		assert.EqualError(t, told.all()[0], "revlog: entries that the log acknowledged are missing from it: 1")
		pass(5 * time.Second)
		require.NoError(t, list.Health())
		assert.Equal(t, []string{"1", "2"}, inLog(t, log))
	})
}

// What the log need not have any more is not missed: entries that end soon, and those that another one covers.
func TestEndedEntriesAreNotMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		var told reports
		list := openReady(t, log, revlog.Config{Report: told.add})
		user := oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": "user", "tenant": 7.0}, IssuedUntil: time.Now()}
		later := user
		later.IssuedUntil = user.IssuedUntil.Add(time.Hour)
		short := jti("short")
		short.Expires = time.Now().Add(time.Hour)
		require.NoError(t, list.Revoke(t.Context(), short))
		require.NoError(t, list.Revoke(t.Context(), user))
		require.NoError(t, list.Revoke(t.Context(), later))
		synctest.Wait()
		pass(time.Hour + oauthz.MaxLeeway - 59*time.Second)
		log.Lose(-1)
		pass(10 * time.Second)
		require.NoError(t, list.Health())
		require.Len(t, told.all(), 1)
		assert.EqualError(t, told.all()[0], "revlog: entries that the log acknowledged are missing from it: 1")
		revs, _, err := log.Memory.Read(t.Context(), "", 0)
		require.NoError(t, err)
		require.Len(t, revs, 1)
		assert.True(t, later.IssuedUntil.Equal(revs[0].IssuedUntil))
	})
}

// A list that cannot append what is missing reports each attempt, does not hurry, and goes on to answer. A list that dies while it
// appends leaves the rest to another.
func TestLostEntriesWaitForTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		var told reports
		lists := fleet(t, log, 2, 1200, &told)
		log.writing(func(context.Context, ...oauthz.Revocation) error { return errDown })
		log.Lose(-1)
		pass(time.Minute)
		assert.Less(t, len(told.all()), 2+2*120)
		assert.Greater(t, len(told.all()), 2+2*10)
		for _, list := range lists {
			assert.ErrorIs(t, list.Health(), revlog.ErrLost)
			wantRevoked(t, list, true, "0", "1199")
			wantRevoked(t, list, false, "another")
		}
		portions := 0
		log.writing(func(ctx context.Context, revs ...oauthz.Revocation) error {
			if portions++; portions == 2 { // of the first to begin
				return errDown
			}
			return log.Memory.Append(ctx, revs...)
		})
		pass(20 * time.Second)
		assert.Equal(t, ids(0, 1200), inLog(t, log))
		require.NoError(t, lists[0].Health())
		require.NoError(t, lists[1].Health())
	})
}

// While one list appends many entries, the others leave them to it.
func TestOthersLeaveItToOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		lists := fleet(t, log, 5, 0, &reports{})
		var revs []oauthz.Revocation
		for _, id := range ids(0, 6000) {
			revs = append(revs, jti(id))
		}
		require.NoError(t, log.Memory.Append(t.Context(), revs...))
		synctest.Wait()
		var appended atomic.Int64
		log.writing(func(ctx context.Context, revs ...oauthz.Revocation) error {
			<-time.After(200 * time.Millisecond)
			appended.Add(int64(len(revs)))
			return log.Memory.Append(ctx, revs...)
		})
		log.Lose(-1)
		pass(30 * time.Second)
		for _, list := range lists {
			require.NoError(t, list.Health())
		}
		assert.GreaterOrEqual(t, appended.Load(), int64(6000))
		assert.LessOrEqual(t, appended.Load(), int64(6000+4*500), "and one portion of each that began at the same time")
	})
}

// What the list holds is written again while it reads the log again, for it may be missing.
func TestRevokeWhileReadingAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		list := fleet(t, log, 1, 10, &reports{})[0]
		pass(time.Second)
		log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			if after == "10" {
				return nil, "", revlog.ErrTruncated
			}
			return hang(ctx, after, wait)
		})
		pass(2 * time.Second)
		require.NoError(t, list.Health(), "nothing is known yet")
		require.NoError(t, list.Revoke(t.Context(), jti("9")))
		assert.Equal(t, append(ids(0, 10), "9"), inLog(t, log))
	})
}

// What one Revoke is told to add while entries are missing is added, though the list holds it.
func TestRevokeWhileEntriesAreMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		lists := fleet(t, log, 1, 10, &reports{})
		log.Lose(5)
		synctest.Wait()
		require.NoError(t, lists[0].Revoke(t.Context(), jti("9")))
		assert.Equal(t, []string{"0", "1", "2", "3", "4", "9"}, inLog(t, log))
		pass(5 * time.Second)
		require.NoError(t, lists[0].Health())
		assert.Equal(t, ids(0, 10), inLog(t, log))
	})
}

// After a loss a list reads on from an older position: of a long log it reads again no more than was lost.
func TestReadsOnFromAnOlderPosition(t *testing.T) {
	t.Parallel()
	for _, lose := range []int{1, 10, 100, 1000} {
		t.Run(strconv.Itoa(lose), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &script{batch: 1 << 30}
				list := openReady(t, log, revlog.Config{})
				for i := range 5000 {
					require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(i))))
					synctest.Wait()
				}
				var read atomic.Int64
				log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
					assert.NotEmpty(t, after)
					revs, next, err := log.Memory.Read(ctx, after, wait)
					read.Add(int64(len(revs)))
					return revs, next, err
				})
				looks := len(log.looks())
				pass(time.Second)
				log.Lose(lose)
				synctest.Wait()
				assert.LessOrEqual(t, read.Load(), int64(lose+1))
				assert.LessOrEqual(t, len(log.looks())-looks, 70)
				assert.ErrorIs(t, list.Health(), revlog.ErrLost)
				pass(20 * time.Second)
				require.NoError(t, list.Health())
				assert.Equal(t, ids(0, 5000), inLog(t, log))
			})
		})
	}
}

// Lists that must read all of a long log again do not do so together.
func TestReadingEverythingAgainIsSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs []*script
		for range 20 {
			log := &script{batch: 1}
			log.reading(oneByOne)
			openReady(t, log, revlog.Config{})
			logs = append(logs, log)
		}
		pass(2 * time.Second)
		start := time.Now()
		for _, log := range logs {
			gone := false
			log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
				if after != "" && !gone {
					return nil, "", revlog.ErrTruncated
				}
				gone = true
				return oneByOne(ctx, after, wait)
			})
		}
		pass(10 * time.Second)
		var again []time.Time
		for _, log := range logs {
			at := time.Time{}
			for _, l := range log.looks() {
				if l.after == "1" && l.at.After(start) {
					at = l.at // the last time: before, it looked whether that is still there
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

// oneByOne reads a log of five entries, one at a time.
func oneByOne(_ context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	n, _ := strconv.Atoi(after)
	if n == 5 {
		<-time.After(wait)
		return nil, after, nil
	}
	return []oauthz.Revocation{jti("entry " + after)}, strconv.Itoa(n + 1), nil
}
