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

// faults are the ways in which a log can fail, and the error that Report receives.
var faults = []struct {
	name string
	read readFunc
	want string
}{
	{name: "down", read: down, want: "revlog: read: the log is down"},
	{name: "hangs", read: hang, want: "revlog: read: context deadline exceeded"},
	{
		name: "panics", want: "revlog: read: panic of type string",
		read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) { panic("canary") },
	},
	{
		name: "entries, but the same position", want: "revlog: read: the log returned entries without a new position",
		read: func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			return []oauthz.Revocation{jti("1")}, after, nil
		},
	},
	{
		name: "entries, but no position", want: "revlog: read: the log returned entries without a new position",
		read: func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			if after == "" {
				return []oauthz.Revocation{jti("1")}, "1", nil
			}
			return []oauthz.Revocation{jti("1")}, "", nil
		},
	},
	{
		name: "an entry that no list accepts", want: "revlog: read: 1 of 1 entries cannot be applied: oauthz: revocation 0: match has no iss",
		read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			return []oauthz.Revocation{garbage}, "9", nil
		},
	},
	{
		name: "two entries that no list accepts",
		want: "revlog: read: 2 of 3 entries cannot be applied: oauthz: revocation 0: match has no iss",
		read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			return []oauthz.Revocation{garbage, jti("1"), garbage}, "9", nil
		},
	},
	{
		name: "truncated, always", want: "revlog: the log is truncated after the position",
		read: func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			return nil, "", revlog.ErrTruncated
		},
	},
	{
		name: "truncated after each entry", want: "revlog: the log is truncated after the position",
		read: func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			if after == "" {
				return []oauthz.Revocation{jti("1")}, "1", nil
			}
			return nil, "", revlog.ErrTruncated
		},
	},
}

// Whatever fault a log has, the list continues with the entries that it has, then cannot tell,
// calls Report for each fault, reads a bounded number of times, and recovers with the log.
func TestAListSurvivesFaultsOfItsLog(t *testing.T) {
	t.Parallel()
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testFault(t, tt.read, tt.want) })
		})
	}
}

func testFault(t *testing.T, read readFunc, want string) {
	t.Helper()
	log := &scriptedLog{}
	var reported reports
	list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second, Report: reported.add})
	require.NoError(t, list.Revoke(t.Context(), jti("known")))
	synctest.Wait()
	log.setRead(read)
	require.NoError(t, log.Memory.Append(t.Context(), jti("wakes")))
	before := len(log.readCalls())
	advance(9 * time.Second)
	require.NoError(t, list.Health())
	wantRevoked(t, list, true, "known", "wakes")
	advance(2 * time.Second)
	wantUnavailable(t, list, revlog.ErrLagging)
	wantRevoked(t, list, true, "known")
	assert.ErrorContains(t, list.Health(), want)

	reads := len(log.readCalls()) - before
	assert.Less(t, reads, 2000)
	errs := reported.all()
	assert.GreaterOrEqual(t, len(errs), 1)
	assert.LessOrEqual(t, len(errs), reads)
	for _, err := range errs {
		assert.EqualError(t, err, want)
	}
	log.setRead(nil)
	advance(15 * time.Second) // a Read that hangs ends first
	require.NoError(t, list.Health())
	wantRevoked(t, list, true, "known", "wakes")
}

// Report is called for each Read that failed, and not for others.
func TestReportIsCalledOncePerFailedRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		var reported reports
		openReady(t, log, revlog.Config{Report: reported.add})
		advance(10 * time.Second)
		assert.Empty(t, reported.all())
		log.setRead(down)
		advance(time.Second)
		before := len(log.readCalls())
		beforeReported := len(reported.all())
		advance(10 * time.Second)
		assert.Equal(t, len(log.readCalls())-before, len(reported.all())-beforeReported)
		log.setRead(nil)
		advance(time.Second)
		before = len(reported.all())
		advance(10 * time.Second)
		assert.Len(t, reported.all(), before)
	})
}

// A Read may take the time for which it waits, plus Timeout.
func TestAReadMayTakeItsWaitAndTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		var reported reports
		log.setRead(hang)
		list := open(t, log, revlog.Config{Timeout: 2 * time.Second, Poll: 3 * time.Second, Report: reported.add})
		advance(2*time.Second - 1)
		assert.Empty(t, reported.all())
		advance(1)
		require.Len(t, reported.all(), 1, "the first Read does not wait for entries")
		assert.ErrorIs(t, reported.all()[0], context.DeadlineExceeded)
		log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			if wait == 0 {
				return nil, "0", nil
			}
			return hang(ctx, after, wait)
		})
		require.NoError(t, list.Ready(t.Context()))
		advance(5*time.Second - 1)
		assert.Len(t, reported.all(), 1)
		advance(1)
		assert.Len(t, reported.all(), 2)
	})
}

// After an outage the list checks whether it has everything, and does not wait for new entries.
// There may be none, and the list would be unable to tell for longer than the outage.
func TestAListRecoversWithoutWaitingForEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{MaxLag: 30 * time.Second, Poll: 14 * time.Second})
		log.setRead(down)
		advance(time.Minute)
		wantUnavailable(t, list, revlog.ErrLagging)
		log.setRead(nil)
		advance(time.Second)
		require.NoError(t, list.Health())
		assert.LessOrEqual(t, list.Lag(), time.Second)
	})
}

// A Read that waits for entries may take Poll longer than one that does not wait.
func TestAWaitingReadMayTakePollLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		log.setRead(func(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
			if wait == 0 {
				return nil, "0", nil
			}
			<-time.After(wait + time.Second) // a slow one
			return nil, "0", ctx.Err()
		})
		list := openReady(t, log, revlog.Config{Timeout: 2 * time.Second, Poll: 3 * time.Second, Report: func(err error) { t.Error(err) }})
		advance(time.Minute)
		require.NoError(t, list.Health())
	})
}

// The valid entries beside one that no list accepts apply, but the list does not continue: the
// invalid entry may be the revocation of the very token that is checked.
func TestAnInvalidEntryIsNotSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second})
		guard := newGuard(t, oauthz.IntrospectorFunc(introspectID), list)
		advance(time.Second)
		before := len(log.readCalls())
		log.setRead(func(_ context.Context, after string, _ time.Duration) ([]oauthz.Revocation, string, error) {
			assert.Equal(t, "0", after)
			return []oauthz.Revocation{jti("before"), garbage, jti("after")}, "3", nil
		})
		advance(time.Second)
		assert.Equal(t, refused, request(t, guard, "before"))
		assert.Equal(t, refused, request(t, guard, "after"))
		assert.Equal(t, allowed, request(t, guard, "good"))
		advance(10 * time.Second)
		assert.Equal(t, unavailable, request(t, guard, "good"))
		assert.Equal(t, refused, request(t, guard, "before"))
		for _, l := range log.readCalls()[before:] {
			assert.Equal(t, "0", l.after)
		}
		assert.NotContains(t, list.Health().Error(), "no issuer", "an error holds no content of an entry")
		log.setRead(nil)
		advance(time.Second)
		assert.Equal(t, allowed, request(t, guard, "good"))
	})
}

// A fault that was repaired is not given as the reason for a later fault.
func TestARepairedFaultIsNotReportedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second, Timeout: 10 * time.Second})
		log.setRead(down)
		advance(2 * time.Second)
		log.setRead(nil)
		advance(2 * time.Second)
		log.setRead(hang)
		advance(10*time.Second + 1)
		assert.Equal(t, revlog.ErrLagging, list.Health())
	})
}

// The list uses the configured clock for the lag, which is never negative, and for expired
// entries.
func TestAListUsesItsClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{Now: clock})
		rev := jti("1")
		rev.Expires = time.Now().Add(time.Hour)
		require.NoError(t, list.Revoke(t.Context(), rev))
		ahead.Store(int64(-time.Hour))
		assert.Zero(t, list.Lag())
		wantRevoked(t, list, true, "1")
		ahead.Store(int64(2 * time.Hour))
		wantUnavailable(t, list, revlog.ErrLagging)
		advance(3 * time.Second)
		wantRevoked(t, list, false, "1")
	})
}

// A log that ends the goroutine of the list ends the list, which then cannot tell.
func TestALogThatEndsTheGoroutineEndsTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{})
		log.setRead(func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			runtime.Goexit()
			return nil, "", nil
		})
		advance(2 * time.Second)
		wantUnavailable(t, list, revlog.ErrClosed)
	})
}

// A Memory keeps the entries that it was given, whatever the caller does with them afterwards.
func TestMemoryCopiesItsEntries(t *testing.T) {
	t.Parallel()
	var log revlog.Memory
	rev := jti("1")
	require.NoError(t, log.Append(t.Context(), rev))
	rev.Match["jti"] = "2"
	revs, _, err := log.Read(t.Context(), "", 0)
	require.NoError(t, err)
	assert.Equal(t, []oauthz.Revocation{jti("1")}, revs)
}
