package revlog_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// A list that has ended cannot tell about any token, including those that it knew to be
// revoked, because it is no longer kept up to date. (synctest fails a test that leaves a
// goroutine.)
func TestAListThatHasEndedCannotTell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		read readFunc
		end  func(t *testing.T, list *revlog.List, cancel context.CancelFunc)
	}{
		{name: "Close", end: func(t *testing.T, list *revlog.List, _ context.CancelFunc) { require.NoError(t, list.Close()) }},
		{name: "Close while Read hangs", read: hang, end: func(t *testing.T, list *revlog.List, _ context.CancelFunc) {
			require.NoError(t, list.Close())
		}},
		{name: "Close while it pauses", read: down, end: func(t *testing.T, list *revlog.List, _ context.CancelFunc) {
			require.NoError(t, list.Close())
		}},
		{name: "the context", end: func(_ *testing.T, _ *revlog.List, cancel context.CancelFunc) { cancel(); synctest.Wait() }},
		{name: "the context while Read hangs", read: hang, end: func(_ *testing.T, _ *revlog.List, cancel context.CancelFunc) {
			cancel()
			synctest.Wait()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testEnd(t, tt.read, tt.end) })
		})
	}
}

func testEnd(t *testing.T, read readFunc, end func(t *testing.T, list *revlog.List, cancel context.CancelFunc)) {
	t.Helper()
	log := &scriptedLog{}
	var reported reports
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	list, err := revlog.Open(ctx, log, revlog.Config{Report: reported.add})
	require.NoError(t, err)
	require.NoError(t, list.Ready(ctx))
	require.NoError(t, list.Revoke(ctx, jti("known")))
	log.setRead(read)
	advance(2 * time.Second)
	before, start := reported.all(), time.Now()
	end(t, list, cancel)
	assert.Zero(t, time.Since(start))
	wantEnded(t, list, log)
	assert.Equal(t, before, reported.all(), "an end is not a failure")
}

func wantEnded(t *testing.T, list *revlog.List, log *scriptedLog) {
	t.Helper()
	appends := log.countAppends()
	revoked, err := list.Revoked(t.Context(), token("known"))
	assert.False(t, revoked)
	assert.Equal(t, revlog.ErrClosed, err)
	assert.Equal(t, revlog.ErrClosed, list.Health())
	assert.Equal(t, revlog.ErrClosed, list.Revoke(t.Context(), jti("1")))
	assert.Equal(t, revlog.ErrClosed, list.Revoke(t.Context()))
	assert.Equal(t, appends, log.countAppends())
	assert.Equal(t, unavailable, request(t, newGuard(t, oauthz.IntrospectorFunc(introspectID), list), "known"))
	require.NoError(t, list.Close())
	require.NoError(t, list.Close())
	reads := len(log.readCalls())
	advance(time.Minute)
	assert.Len(t, log.readCalls(), reads)
}

// Close waits for a Read that ignores its context, but Revoked returns ErrClosed meanwhile.
func TestAListThatIsClosingCannotTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{})
		release := make(chan struct{})
		log.setRead(func(context.Context, string, time.Duration) ([]oauthz.Revocation, string, error) {
			<-release
			return nil, "0", nil
		})
		advance(2 * time.Second)
		closed := make(chan error)
		go func() { closed <- list.Close() }()
		synctest.Wait()
		wantUnavailable(t, list, revlog.ErrClosed)
		close(release)
		require.NoError(t, <-closed)
	})
}

// Ready returns when the list ends before it has caught up.
func TestReadyReturnsWhenTheListEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		log.setRead(hang)
		list := open(t, log, revlog.Config{})
		got := make(chan error)
		go func() { got <- list.Ready(context.Background()) }()
		synctest.Wait()
		require.NoError(t, list.Close())
		assert.Equal(t, revlog.ErrClosed, <-got)
	})
}

func TestOpenWithACancelledContextEndsTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		list, err := revlog.Open(ctx, &revlog.Memory{}, revlog.Config{})
		require.NoError(t, err)
		synctest.Wait()
		wantUnavailable(t, list, revlog.ErrClosed)
	})
}

// This test is not parallel, because it counts goroutines.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		list, err := revlog.Open(t.Context(), &revlog.Memory{}, revlog.Config{})
		require.NoError(t, err)
		require.NoError(t, list.Ready(t.Context()))
		require.NoError(t, list.Close())
	}
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond) // Eventually starts one
}

// All methods are called concurrently, and one list is closed meanwhile. The other list has
// every entry that the first one acknowledged.
func TestAListIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	log := &revlog.Memory{}
	one, two := openReady(t, log, revlog.Config{}), openReady(t, log, revlog.Config{})
	var wg sync.WaitGroup
	var acknowledged sync.Map
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				id := strconv.Itoa(w*1000 + i)
				if err := one.Revoke(t.Context(), jti(id)); err != nil {
					assert.Equal(t, revlog.ErrClosed, err)
					return
				}
				acknowledged.Store(id, nil)
				revoked, err := one.Revoked(t.Context(), token(id))
				assert.True(t, revoked || err == revlog.ErrClosed)
				if i == 150 {
					assert.NoError(t, one.Close())
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				useAll(t, one)
				useAll(t, two)
			}
		})
	}
	wg.Wait()
	for id := range acknowledged.Range {
		require.Eventually(t, func() bool {
			revoked, _ := two.Revoked(t.Context(), token(id.(string)))
			return revoked
		}, 10*time.Second, time.Millisecond, id)
	}
	require.NoError(t, two.Health())
}

// useAll calls every method of a list that reads.
func useAll(t *testing.T, list *revlog.List) {
	t.Helper()
	_, _ = list.Revoked(t.Context(), token("1"))
	_, _ = list.Lag(), list.Health()
	_ = list.Ready(t.Context())
	all, err := list.All(oauthz.Query{})
	assert.NoError(t, err)
	for range all {
		break
	}
}

// The mistakes that Open reports.
const (
	nilLog     = "revlog: config: the log is nil"
	badMaxLag  = "revlog: config: MaxLag is negative: without a limit, revoked tokens would be accepted for the whole time of an outage"
	badPoll    = "revlog: config: Poll is negative or not less than half of MaxLag"
	badTimeout = "revlog: config: Timeout is negative or more than MaxLag"
)

func TestOpenReportsEveryMistakeOfConfig(t *testing.T) {
	t.Parallel()
	var noMemory *revlog.Memory
	log := &revlog.Memory{}
	for _, tt := range []struct {
		name string
		log  revlog.Log
		cfg  revlog.Config
		want string // "": cfg is valid
	}{
		{name: "zero", log: log},
		{name: "nil", want: nilLog},
		{name: "a nil pointer", log: noMemory, want: nilLog},
		{name: "negative MaxLag", log: log, cfg: revlog.Config{MaxLag: -1}, want: badMaxLag},
		{name: "negative Poll", log: log, cfg: revlog.Config{Poll: -1}, want: badPoll},
		{name: "Poll of half of MaxLag", log: log, cfg: revlog.Config{MaxLag: 2 * time.Second, Poll: time.Second}, want: badPoll},
		{name: "Poll of half of the default", log: log, cfg: revlog.Config{Poll: 15 * time.Second}, want: badPoll},
		{name: "Poll of less", log: log, cfg: revlog.Config{MaxLag: 2 * time.Second, Poll: time.Second - 1}},
		{name: "negative Timeout", log: log, cfg: revlog.Config{Timeout: -1}, want: badTimeout},
		{name: "Timeout of MaxLag", log: log, cfg: revlog.Config{MaxLag: time.Second, Timeout: time.Second}},
		{name: "Timeout of more", log: log, cfg: revlog.Config{MaxLag: time.Second, Timeout: time.Second + 1}, want: badTimeout},
		{name: "a short MaxLag", log: log, cfg: revlog.Config{MaxLag: 10 * time.Millisecond}},
		{
			name: "all at once", cfg: revlog.Config{MaxLag: -1, Poll: -1, Timeout: -1},
			want: nilLog + "\n" + badMaxLag + "\n" + badPoll + "\n" + badTimeout,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantOpen(t, tt.log, tt.cfg, tt.want)
		})
	}
}

// wantOpen opens a list, and compares the error; "" means that Open succeeds.
func wantOpen(t *testing.T, log revlog.Log, cfg revlog.Config, want string) {
	t.Helper()
	list, err := revlog.Open(t.Context(), log, cfg)
	if want == "" {
		require.NoError(t, err)
		require.NoError(t, list.Close())
		return
	}
	assert.Nil(t, list)
	assert.EqualError(t, err, want)
}
