package revlog_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// A list that has not caught up cannot tell: an empty list would let every revoked token
// through.
func TestAListThatHasNotCaughtUpCannotTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		require.NoError(t, log.Append(t.Context(), jti("old")))
		log.setRead(down)
		list := open(t, log, revlog.Config{})
		guard := newGuard(t, oauthz.IntrospectorFunc(introspectID), list)
		synctest.Wait()
		wantUnavailable(t, list, revlog.ErrNotReady, errDown)
		assert.Equal(t, unavailable, request(t, guard, "good"))
		assert.Equal(t, unavailable, request(t, guard, "old"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := list.Ready(ctx)
		assert.ErrorIs(t, err, revlog.ErrNotReady)
		assert.ErrorIs(t, err, errDown)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, list.Revoke(t.Context(), jti("new")))
		assert.Equal(t, refused, request(t, guard, "new"), "a known revocation applies")

		log.setRead(nil)
		require.NoError(t, list.Ready(t.Context()))
		require.NoError(t, list.Health())
		assert.Equal(t, allowed, request(t, guard, "good"))
		assert.Equal(t, refused, request(t, guard, "old"))
		assert.Equal(t, refused, request(t, guard, "new"))
	})
}

// Entries alone do not make a list ready, because there may be more.
func TestAListIsReadyOnlyWhenItHasEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		more := make(chan struct{})
		log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			assert.Zero(t, wait, "there is no reason to wait before it has caught up")
			if after == "" {
				return []oauthz.Revocation{jti("1")}, "1", nil
			}
			<-more
			return nil, "1", nil
		})
		list := open(t, log, revlog.Config{})
		synctest.Wait()
		wantUnavailable(t, list, revlog.ErrNotReady)
		revoked, err := list.Revoked(t.Context(), token("1"))
		require.NoError(t, err)
		assert.True(t, revoked)
		log.setRead(hang)
		close(more)
		require.NoError(t, list.Ready(t.Context()))
		wantRevoked(t, list, false, "2")
	})
}

// The entries before one that cannot be read apply, and the list is not ready: however few they
// are, they are not all.
func TestEntriesBeforeAnErrorApply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 100}
		log.setRead(func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			if after == "" {
				return []oauthz.Revocation{jti("1")}, "1", errDown
			}
			assert.Equal(t, "1", after, "an entry that was read is not read again")
			return nil, "", errDown
		})
		list := open(t, log, revlog.Config{})
		advance(time.Minute)
		wantRevoked(t, list, true, "1")
		wantUnavailable(t, list, revlog.ErrNotReady, errDown)
		assert.Greater(t, len(log.readCalls()), 2)

		log.setRead(func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			assert.Equal(t, "1", after)
			return nil, "1", nil
		})
		require.NoError(t, list.Ready(t.Context()))
		log.setRead(hang)
		wantRevoked(t, list, false, "2")
	})
}

// Until MaxLag the list answers with the entries that it has. After that it cannot tell, except
// about the tokens that it knows to be revoked. When the log is back, the list recovers, with
// the entries that it missed.
func TestAListAnswersUntilMaxLagAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
		guard := newGuard(t, oauthz.IntrospectorFunc(introspectID), list)
		require.NoError(t, list.Revoke(t.Context(), jti("known")))
		log.setRead(down)
		advance(time.Second)
		require.NoError(t, log.Memory.Append(t.Context(), jti("missed")))

		advance(10*time.Second - list.Lag())
		assert.Equal(t, 10*time.Second, list.Lag())
		require.NoError(t, list.Health())
		assert.Equal(t, allowed, request(t, guard, "good"))
		assert.Equal(t, refused, request(t, guard, "known"))
		advance(1)
		wantUnavailable(t, list, revlog.ErrLagging, errDown)
		assert.Equal(t, unavailable, request(t, guard, "good"))
		assert.Equal(t, unavailable, request(t, guard, "missed"))
		assert.Equal(t, refused, request(t, guard, "known"))
		require.NoError(t, list.Ready(t.Context()), "it was ready before")

		log.setRead(nil)
		advance(time.Second) // the longest pause
		require.NoError(t, list.Health())
		assert.LessOrEqual(t, list.Lag(), time.Second)
		assert.Equal(t, allowed, request(t, guard, "good"))
		assert.Equal(t, refused, request(t, guard, "missed"))
		assert.Equal(t, refused, request(t, guard, "known"))
	})
}

// A list of a log without new entries is never late, and does not read more often than once in
// Poll.
func TestAListOfAQuietLogIsNeverLate(t *testing.T) {
	t.Parallel()
	for _, cfg := range []revlog.Config{
		{}, {MaxLag: 10 * time.Millisecond}, {MaxLag: 10 * time.Second, Poll: 5*time.Second - 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &scriptedLog{}
			list := openReady(t, log, cfg)
			bound, poll := cfg.MaxLag, cfg.Poll
			if bound == 0 {
				bound = 30 * time.Second // the defaults
			}
			if poll == 0 {
				poll = min(bound/4, time.Second)
			}
			for range 300 {
				advance(bound / 10)
				require.NoError(t, list.Health())
				assert.LessOrEqual(t, list.Lag(), 2*poll)
			}
			assert.LessOrEqual(t, len(log.readCalls()), int(30*bound/poll)+2)
		})
	}
}

// An entry that one list appends applies in the other list without any time passing.
func TestAnAppendAppliesElsewhereAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
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

// During an outage the list reads a bounded number of times, and lists do not read in step.
// After a success the first pauses are short again.
func TestAnOutageCostsABoundedNumberOfReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, other := &scriptedLog{}, &scriptedLog{}
		openReady(t, log, revlog.Config{})
		openReady(t, other, revlog.Config{})
		outage := func(lasts time.Duration) (reads []readCall) {
			synctest.Wait()
			begun, otherBegun := len(log.readCalls()), len(other.readCalls())
			log.setRead(down)
			other.setRead(down)
			require.NoError(t, log.Memory.Append(t.Context(), jti("wakes"))) // to end the Read that waits
			require.NoError(t, other.Memory.Append(t.Context(), jti("wakes")))
			advance(lasts)
			reads = log.readCalls()[begun:]
			assert.NotEqual(t, times(reads), times(other.readCalls()[otherBegun:]))
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
		log.setRead(nil)
		other.setRead(nil)
		advance(2 * time.Second)
		assert.GreaterOrEqual(t, len(outage(100*time.Millisecond)), 3)
	})
}

func times(looks []readCall) (out []time.Time) {
	for _, l := range looks {
		out = append(out, l.at)
	}
	return out
}

// After entries the list reads at once without waiting, and so it has caught up.
func TestAListReadsOnAtOnceAfterEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{})
		advance(10*time.Second + time.Second/2)
		require.NoError(t, log.Memory.Append(t.Context(), jti("1")))
		synctest.Wait()
		assert.Zero(t, list.Lag())
		waits := log.readCalls()[len(log.readCalls())-2:]
		assert.Equal(t, []time.Duration{0, time.Second}, []time.Duration{waits[0].wait, waits[1].wait})
	})
}

// While the list reads a truncated log again that has entries which it does not hold, its lag
// continues and does not begin at zero.
func TestTheLagContinuesWhileUnknownEntriesAreRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
		advance(time.Second)
		before := len(log.readCalls())
		var missed time.Duration
		log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
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
		advance(time.Second) // until the list reads
		for list.Lag() < 10*time.Second {
			assert.NoError(t, list.Health())
			missed = list.Lag()
			advance(time.Second)
			assert.Equal(t, missed+time.Second, list.Lag())
		}
		advance(1)
		wantUnavailable(t, list, revlog.ErrLagging)
		advance(9 * time.Second)
		require.NoError(t, list.Health())
		wantRevoked(t, list, true, "entry ", "entry 1", "entry 4")
		assert.Equal(t, []string{"0", "", "1"}, positions(log.readCalls()[before:][:3]))
	})
}

func positions(looks []readCall) (out []string) {
	for _, l := range looks {
		out = append(out, l.after)
	}
	return out
}

// reports is a Config.Report that stores its errors.
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
