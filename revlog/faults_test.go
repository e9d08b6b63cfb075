package revlog_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// RV-10: whatever a log does wrong, the list goes on with what it has, then cannot tell, tells Report each time, asks a
// bounded number of times, and is back when the log is.
func TestFaultsOfALog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		read readFunc
		says string // what Report is told
	}{
		{name: "down", read: down, says: "revlog: read: the log is down"},
		{name: "hangs", read: hang, says: "revlog: read: context deadline exceeded"},
		{
			name: "panics", says: "revlog: read: panic of type string",
			read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) { panic("canary") },
		},
		{
			name: "entries, but the same position", says: "revlog: read: entries, but no new position",
			read: func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
				return []oauthz.Revocation{jti("1")}, after, nil
			},
		},
		{
			name: "entries, but no position", says: "revlog: read: entries, but no new position",
			read: func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
				if after == "" {
					return []oauthz.Revocation{jti("1")}, "1", nil
				}
				return []oauthz.Revocation{jti("1")}, "", nil
			},
		},
		{
			name: "an entry that no list takes", says: "oauthz: revocation 0: match has no iss",
			read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
				return []oauthz.Revocation{garbage}, "9", nil
			},
		},
		{
			name: "several such entries", says: "oauthz: revocation 0: match has no iss", // once
			read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
				return []oauthz.Revocation{garbage, jti("1"), garbage, garbage}, "9", nil
			},
		},
		{
			name: "truncated, always", says: "revlog: the log is truncated after the position",
			read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
				return nil, "", revlog.ErrTruncated
			},
		},
		{
			name: "truncated after each entry", says: "revlog: the log is truncated after the position",
			read: func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
				if after == "" {
					return []oauthz.Revocation{jti("1")}, "1", nil
				}
				return nil, "", revlog.ErrTruncated
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { faultOfALog(t, tt.read, tt.says) })
		})
	}
}

func faultOfALog(t *testing.T, read readFunc, says string) {
	t.Helper()
	log := &script{}
	var told reports
	list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second, Report: told.add})
	require.NoError(t, list.Revoke(t.Context(), jti("known")))
	synctest.Wait()
	log.reading(read)
	require.NoError(t, log.Memory.Append(t.Context(), jti("wakes")))
	before := len(log.looks())
	pass(9 * time.Second)
	require.NoError(t, list.Health())
	wantRevoked(t, list, true, "known", "wakes")
	pass(2 * time.Second)
	wantCannotTell(t, list, revlog.ErrLagging)
	wantRevoked(t, list, true, "known")
	assert.ErrorContains(t, list.Health(), says)

	reads := len(log.looks()) - before
	assert.Less(t, reads, 2000)
	errs := told.all()
	assert.GreaterOrEqual(t, len(errs), 1)
	assert.LessOrEqual(t, len(errs), reads)
	for _, err := range errs {
		assert.EqualError(t, err, says)
	}
	log.reading(nil)
	pass(15 * time.Second) // what hangs ends first
	require.NoError(t, list.Health())
	wantRevoked(t, list, true, "known", "wakes")
}

// Report is told of each Read that failed, and of no other.
func TestReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		var told reports
		openReady(t, log, revlog.Config{Report: told.add})
		pass(10 * time.Second)
		assert.Empty(t, told.all())
		log.reading(down)
		pass(time.Second)
		before := len(log.looks())
		beforeTold := len(told.all())
		pass(10 * time.Second)
		assert.Equal(t, len(log.looks())-before, len(told.all())-beforeTold)
		log.reading(nil)
		pass(time.Second)
		before = len(told.all())
		pass(10 * time.Second)
		assert.Len(t, told.all(), before)
	})
}

// A Read may take what it waits and Timeout.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		var told reports
		log.reading(hang)
		list := open(t, log, revlog.Config{Timeout: 2 * time.Second, Poll: 3 * time.Second, Report: told.add})
		pass(2*time.Second - 1)
		assert.Empty(t, told.all())
		pass(1)
		require.Len(t, told.all(), 1, "there was nothing to wait for")
		assert.ErrorIs(t, told.all()[0], context.DeadlineExceeded)
		log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			if wait == 0 {
				return nil, "0", nil
			}
			return hang(ctx, after, wait)
		})
		require.NoError(t, list.Ready(t.Context()))
		pass(5*time.Second - 1)
		assert.Len(t, told.all(), 1)
		pass(1)
		assert.Len(t, told.all(), 2)
	})
}

// After an outage it asks whether it has everything, and does not wait for more, which may not come: it would not be able to
// tell for longer than the outage.
func TestBackWithoutWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{MaxLag: 30 * time.Second, Poll: 14 * time.Second})
		log.reading(down)
		pass(time.Minute)
		wantCannotTell(t, list, revlog.ErrLagging)
		log.reading(nil)
		pass(time.Second)
		require.NoError(t, list.Health())
		assert.LessOrEqual(t, list.Lag(), time.Second)
	})
}

// A Read that waits for more may take Poll longer than one that does not.
func TestTimeoutBeyondPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		log.reading(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			if wait == 0 {
				return nil, "0", nil
			}
			<-time.After(wait + time.Second) // a slow one
			return nil, "0", ctx.Err()
		})
		list := openReady(t, log, revlog.Config{Timeout: 2 * time.Second, Poll: 3 * time.Second, Report: func(err error) { t.Error(err) }})
		pass(time.Minute)
		require.NoError(t, list.Health())
	})
}

// RV-10: the good ones beside an entry that no list takes apply, but the list does not go on: what it cannot read may be
// the revocation of the token that it is asked about.
func TestGarbageIsNotSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
		guard := newGuard(t, oauthz.IntrospectorFunc(bearers), list)
		pass(time.Second)
		before := len(log.looks())
		log.reading(func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			assert.Equal(t, "0", after)
			return []oauthz.Revocation{jti("before"), garbage, jti("after")}, "3", nil
		})
		pass(time.Second)
		assert.Equal(t, refused, ask(t, guard, "before"))
		assert.Equal(t, refused, ask(t, guard, "after"))
		assert.Equal(t, allowed, ask(t, guard, "good"))
		pass(10 * time.Second)
		assert.Equal(t, cannotTell, ask(t, guard, "good"))
		assert.Equal(t, refused, ask(t, guard, "before"))
		for _, l := range log.looks()[before:] {
			assert.Equal(t, "0", l.after)
		}
		assert.NotContains(t, list.Health().Error(), "no issuer", "what an entry says is not told")
		log.reading(nil)
		pass(time.Second)
		assert.Equal(t, allowed, ask(t, guard, "good"))
	})
}

// What was wrong and is so no more is not given as the reason for what is wrong now.
func TestFaultIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second, Timeout: 10 * time.Second})
		log.reading(down)
		pass(2 * time.Second)
		log.reading(nil)
		pass(2 * time.Second)
		log.reading(hang)
		pass(10*time.Second + 1)
		assert.Equal(t, revlog.ErrLagging, list.Health())
	})
}

// The list goes by the clock that it is given: for the lag, which is never negative, and for what is over.
func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		log := &script{}
		list := openReady(t, log, revlog.Config{Now: clock})
		rev := jti("1")
		rev.Expires = time.Now().Add(time.Hour)
		require.NoError(t, list.Revoke(t.Context(), rev))
		ahead.Store(int64(-time.Hour))
		assert.Zero(t, list.Lag())
		wantRevoked(t, list, true, "1")
		ahead.Store(int64(2 * time.Hour))
		wantCannotTell(t, list, revlog.ErrLagging)
		pass(3 * time.Second)
		wantRevoked(t, list, false, "1")
	})
}

// A log that ends the goroutine ends the list, which then cannot tell.
func TestGoexit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{})
		log.reading(func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			runtime.Goexit()
			return nil, "", nil
		})
		pass(2 * time.Second)
		wantCannotTell(t, list, revlog.ErrClosed)
	})
}

// A Memory keeps what it was given, whatever the caller does with it then.
func TestMemoryHasItsOwn(t *testing.T) {
	t.Parallel()
	var log revlog.Memory
	rev := jti("1")
	require.NoError(t, log.Append(t.Context(), rev))
	rev.Match["jti"] = "2"
	revs, _, err := log.Read(t.Context(), "", 0)
	require.NoError(t, err)
	assert.Equal(t, []oauthz.Revocation{jti("1")}, revs)
}
