package revlog_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// A list that has not caught up cannot tell: an empty one would let every revoked token through.
func TestNotReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		require.NoError(t, log.Append(t.Context(), jti("old")))
		log.reading(down)
		list := open(t, log, revlog.Config{})
		guard := newGuard(t, oauthz.IntrospectorFunc(bearers), list)
		synctest.Wait()
		wantCannotTell(t, list, revlog.ErrNotReady, errDown)
		assert.Equal(t, cannotTell, ask(t, guard, "good"))
		assert.Equal(t, cannotTell, ask(t, guard, "old"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := list.Ready(ctx)
		assert.ErrorIs(t, err, revlog.ErrNotReady)
		assert.ErrorIs(t, err, errDown)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, list.Revoke(t.Context(), jti("new")))
		assert.Equal(t, refused, ask(t, guard, "new"), "what is known is")

		log.reading(nil)
		require.NoError(t, list.Ready(t.Context()))
		require.NoError(t, list.Health())
		assert.Equal(t, allowed, ask(t, guard, "good"))
		assert.Equal(t, refused, ask(t, guard, "old"))
		assert.Equal(t, refused, ask(t, guard, "new"))
	})
}

// Entries alone do not make it ready: there may be more.
func TestReadyIsAllOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		more := make(chan struct{})
		log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			assert.Zero(t, wait, "there is no reason to wait before it has caught up")
			if after == "" {
				return []oauthz.Revocation{jti("1")}, "1", nil
			}
			<-more
			return nil, "1", nil
		})
		list := open(t, log, revlog.Config{})
		synctest.Wait()
		wantCannotTell(t, list, revlog.ErrNotReady)
		revoked, err := list.Revoked(t.Context(), token("1"))
		require.NoError(t, err)
		assert.True(t, revoked)
		log.reading(hang)
		close(more)
		require.NoError(t, list.Ready(t.Context()))
		wantRevoked(t, list, false, "2")
	})
}

// RV-10: entries before one that cannot be read are held, and the list is not ready: however few they are, they are not all.
func TestEntriesBeforeAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 100}
		log.reading(func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			if after == "" {
				return []oauthz.Revocation{jti("1")}, "1", errDown
			}
			assert.Equal(t, "1", after, "what was read is not read again")
			return nil, "", errDown
		})
		list := open(t, log, revlog.Config{})
		pass(time.Minute)
		wantRevoked(t, list, true, "1")
		wantCannotTell(t, list, revlog.ErrNotReady, errDown)
		assert.Greater(t, len(log.looks()), 2)

		log.reading(func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			assert.Equal(t, "1", after)
			return nil, "1", nil
		})
		require.NoError(t, list.Ready(t.Context()))
		log.reading(hang)
		wantRevoked(t, list, false, "2")
	})
}

// RV-08, RV-10: up to MaxLag it goes on with what it has, from then on it cannot tell, but about what it knows. When the log
// is back, so is it, with what it missed.
func TestLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
		guard := newGuard(t, oauthz.IntrospectorFunc(bearers), list)
		require.NoError(t, list.Revoke(t.Context(), jti("known")))
		log.reading(down)
		pass(time.Second)
		require.NoError(t, log.Memory.Append(t.Context(), jti("missed")))

		pass(10*time.Second - list.Lag())
		assert.Equal(t, 10*time.Second, list.Lag())
		require.NoError(t, list.Health())
		assert.Equal(t, allowed, ask(t, guard, "good"))
		assert.Equal(t, refused, ask(t, guard, "known"))
		pass(1)
		wantCannotTell(t, list, revlog.ErrLagging, errDown)
		assert.Equal(t, cannotTell, ask(t, guard, "good"))
		assert.Equal(t, cannotTell, ask(t, guard, "missed"))
		assert.Equal(t, refused, ask(t, guard, "known"))
		require.NoError(t, list.Ready(t.Context()), "it has been")

		log.reading(nil)
		pass(time.Second) // the longest pause
		require.NoError(t, list.Health())
		assert.LessOrEqual(t, list.Lag(), time.Second)
		assert.Equal(t, allowed, ask(t, guard, "good"))
		assert.Equal(t, refused, ask(t, guard, "missed"))
		assert.Equal(t, refused, ask(t, guard, "known"))
	})
}

// A list whose log is quiet is never late, and does not ask more often than Poll.
func TestQuietLog(t *testing.T) {
	t.Parallel()
	for _, cfg := range []revlog.Config{
		{}, {MaxLag: 10 * time.Millisecond}, {MaxLag: 10 * time.Second, Poll: 5*time.Second - 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &script{}
			list := openReady(t, log, cfg)
			bound, poll := cfg.MaxLag, cfg.Poll
			if bound == 0 {
				bound = 30 * time.Second // the defaults
			}
			if poll == 0 {
				poll = min(bound/4, time.Second)
			}
			for range 300 {
				pass(bound / 10)
				require.NoError(t, list.Health())
				assert.LessOrEqual(t, list.Lag(), 2*poll)
			}
			assert.LessOrEqual(t, len(log.looks()), int(30*bound/poll)+2)
		})
	}
}

// What is appended elsewhere applies here without any time passing.
func TestWokenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		one, two := openReady(t, log, revlog.Config{}), openReady(t, log, revlog.Config{})
		synctest.Wait()
		start := time.Now()
		for _, id := range []string{"1", "2", "3"} {
			require.NoError(t, one.Revoke(t.Context(), jti(id)))
			wantRevoked(t, one, true, id)
			synctest.Wait()
			wantRevoked(t, two, true, id)
		}
		assert.Zero(t, time.Since(start))
	})
}

// An outage costs a bounded number of Reads, and lists do not ask in step. After a success it is impatient again.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, other := &script{}, &script{}
		openReady(t, log, revlog.Config{})
		openReady(t, other, revlog.Config{})
		outage := func(lasts time.Duration) (reads []look) {
			synctest.Wait()
			begun, otherBegun := len(log.looks()), len(other.looks())
			log.reading(down)
			other.reading(down)
			require.NoError(t, log.Memory.Append(t.Context(), jti("wakes"))) // out of the Read that waits
			require.NoError(t, other.Memory.Append(t.Context(), jti("wakes")))
			pass(lasts)
			reads = log.looks()[begun:]
			assert.NotEqual(t, times(reads), times(other.looks()[otherBegun:]))
			return reads
		}
		reads := outage(time.Minute)
		assert.Greater(t, len(reads), 60)
		assert.Less(t, len(reads), 135)
		for i := range reads[1:] {
			pause := reads[i+1].at.Sub(reads[i].at)
			assert.GreaterOrEqual(t, pause, 10*time.Millisecond)
			assert.LessOrEqual(t, pause, time.Second)
		}
		log.reading(nil)
		other.reading(nil)
		pass(2 * time.Second)
		assert.GreaterOrEqual(t, len(outage(100*time.Millisecond)), 3)
	})
}

func times(looks []look) (out []time.Time) {
	for _, l := range looks {
		out = append(out, l.at)
	}
	return out
}

// A log that has dropped what came next is read again from the beginning. What the list holds still applies, and what of that
// the log had no right to drop is reported and appended again.
func TestTruncated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		var told reports
		list := openReady(t, log, revlog.Config{Report: told.add})
		require.NoError(t, list.Revoke(t.Context(), jti("1"), jti("2")))
		pass(time.Second)
		log.reading(down)
		pass(time.Second)
		require.NoError(t, log.Memory.Append(t.Context(), jti("3"), jti("4")))
		log.Truncate(3)
		log.reading(nil)
		pass(7 * time.Second)
		wantRevoked(t, list, true, "1", "2", "4")
		wantRevoked(t, list, false, "3") // which the list never read
		pass(5 * time.Second)
		require.NoError(t, list.Health())
		assert.Equal(t, []string{"1", "2", "4"}, inLog(t, log))
		var lost []error
		for _, err := range told.all() {
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

// inLog returns the jti of all that a log has, sorted.
func inLog(t testing.TB, log *script) (ids []string) {
	t.Helper()
	revs, _, err := log.Memory.Read(t.Context(), "", 0)
	require.NoError(t, err)
	for _, rev := range revs {
		ids = append(ids, rev.Match["jti"].(string))
	}
	slices.Sort(ids)
	return ids
}

// To be truncated is no failure, each time that it had caught up. A log without a beginning fails at once.
func TestTruncatedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		var told reports
		list := openReady(t, log, revlog.Config{Report: told.add})
		for range 3 {
			once := true
			log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
				if once {
					once = false
					return nil, "", revlog.ErrTruncated
				}
				return log.Memory.Read(ctx, after, wait)
			})
			pass(7 * time.Second) // the longest pause, and one more look
			require.NoError(t, list.Health())
		}
		assert.Empty(t, told.all())

		none := &script{}
		none.reading(func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			return nil, "", revlog.ErrTruncated
		})
		open(t, none, revlog.Config{Report: told.add})
		synctest.Wait()
		assert.Equal(t, []error{revlog.ErrTruncated}, told.all())
		assert.Len(t, none.looks(), 1)
	})
}

// After entries it asks at once whether there are more, and so it has caught up without waiting.
func TestCaughtUpAfterEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{})
		pass(10*time.Second + time.Second/2)
		require.NoError(t, log.Memory.Append(t.Context(), jti("1")))
		synctest.Wait()
		assert.Zero(t, list.Lag())
		waits := log.looks()[len(log.looks())-2:]
		assert.Equal(t, []time.Duration{0, time.Second}, []time.Duration{waits[0].wait, waits[1].wait})
	})
}

// While it reads a truncated log again, and in it what it does not hold, it is as late as it was: the lag does not begin anew.
func TestLagWhileReadingAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
		pass(time.Second)
		before := len(log.looks())
		var missed time.Duration
		log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			switch after {
			case "0":
				return nil, "", revlog.ErrTruncated
			case "5":
				<-time.After(wait)
				return nil, "5", nil
			}
			assert.Zero(t, wait)
			<-time.After(3 * time.Second) // a long log
			return []oauthz.Revocation{jti("entry " + after)}, map[string]string{"": "1", "1": "2", "2": "3", "3": "4", "4": "5"}[after], nil
		})
		pass(time.Second) // until it asks
		for list.Lag() < 10*time.Second {
			assert.NoError(t, list.Health())
			missed = list.Lag()
			pass(time.Second)
			assert.Equal(t, missed+time.Second, list.Lag())
		}
		pass(1)
		wantCannotTell(t, list, revlog.ErrLagging)
		pass(9 * time.Second)
		require.NoError(t, list.Health())
		wantRevoked(t, list, true, "entry ", "entry 1", "entry 4")
		assert.Equal(t, []string{"0", "", "1"}, positions(log.looks()[before:][:3]))
	})
}

func positions(looks []look) (out []string) {
	for _, l := range looks {
		out = append(out, l.after)
	}
	return out
}

// reports is a Config.Report that remembers.
type reports struct {
	mu   sync.Mutex
	errs []error
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *reports) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}
