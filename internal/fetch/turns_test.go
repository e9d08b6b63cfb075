package fetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/fetch"
)

// dial answers without a network, so that a test can run in a synctest bubble. It
// answers a path such as /150ms after that time, and never answers /hang. A canceled
// request ends after a millisecond.
type dial struct{ inFlight, most, all atomic.Int64 }

func (d *dial) RoundTrip(r *http.Request) (*http.Response, error) {
	d.all.Add(1)
	d.most.Store(max(d.most.Load(), d.inFlight.Add(1)))
	defer d.inFlight.Add(-1)
	var answer <-chan time.Time
	if takes, err := time.ParseDuration(strings.TrimPrefix(r.URL.Path, "/")); err == nil {
		answer = time.After(takes)
	}
	select {
	case <-answer:
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	case <-r.Context().Done():
		<-time.After(time.Millisecond)
		return nil, r.Context().Err()
	}
}

// withTurns runs f in a synctest bubble, with a client whose Timeout is 4 s.
func withTurns(t *testing.T, concurrency int, f func(t *testing.T, d *dial, get func(path string) error)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &dial{}
		c := fetch.New(fetch.Config{
			HTTPClient: &http.Client{Transport: d}, MaxBytes: 1 << 10, Timeout: 4 * time.Second, Concurrency: concurrency,
		})
		f(t, d, func(path string) error {
			_, err := c.Get(t.Context(), "https://server.example/"+path, nil)
			return err
		})
	})
}

// started runs f in a goroutine, and returns when the goroutine is blocked.
func started(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	synctest.Wait()
	return done
}

func TestCallWaitsAQuarterOfTimeout(t *testing.T) {
	withTurns(t, 1, func(t *testing.T, d *dial, get func(string) error) {
		first := started(func() error { return get("3s") })
		start := time.Now()
		require.ErrorIs(t, get("1ms"), fetch.ErrBusy)
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, <-first)
		assert.Equal(t, int64(1), d.all.Load())
		assert.NoError(t, get("1ms"))
	})
}

// The time of a call begins with its turn.
func TestWaitIsNotSubtracted(t *testing.T) {
	withTurns(t, 1, func(t *testing.T, _ *dial, get func(string) error) {
		first := started(func() error { return get("900ms") })
		start := time.Now()
		require.NoError(t, get("3900ms"))
		assert.Equal(t, 4800*time.Millisecond, time.Since(start))
		require.NoError(t, <-first)
	})
}

// The calls of a burst wait. Once as many calls as the limit have waited for a
// sixteenth of Timeout, others are refused.
func TestStalledQueueRefusesAtOnce(t *testing.T) {
	withTurns(t, 2, func(t *testing.T, _ *dial, get func(string) error) {
		all := make([]<-chan error, 12)
		for n := range all {
			all[n] = started(func() error { return get("3s") })
		}
		<-time.After(250 * time.Millisecond)
		start := time.Now()
		require.ErrorIs(t, get("3s"), fetch.ErrBusy)
		assert.Zero(t, time.Since(start))
		for n, done := range all {
			if err := <-done; n < 2 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, fetch.ErrBusy, "after a second")
			}
		}
	})
}

// No call of a burst to a fast server is refused.
func TestBurstIsAnswered(t *testing.T) {
	withTurns(t, 2, func(t *testing.T, d *dial, get func(string) error) {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { assert.NoError(t, get("10ms")) })
		}
		all.Wait()
		assert.Equal(t, int64(2), d.most.Load())
	})
}

// Calls on which the server hangs give way to others once the server has answered.
// Never more calls than Concurrency are in flight.
func TestHangingCallsGiveWay(t *testing.T) {
	withTurns(t, 2, func(t *testing.T, d *dial, get func(string) error) {
		require.NoError(t, get("20ms"))
		hung := started(func() error { return get("hang") })
		for range 20 {
			require.NoError(t, get("20ms"))
		}
		second := started(func() error { return get("hang") })
		start := time.Now()
		other := started(func() error { return get("20ms") })
		require.NoError(t, get("20ms"), "the first gives way")
		require.NoError(t, <-other)
		assert.Equal(t, 41*time.Millisecond, time.Since(start))
		assert.ErrorIs(t, <-hung, fetch.ErrGaveWay)
		require.NoError(t, get("20ms"), "no call waits, and the second does not give way")
		assert.Equal(t, int64(2), d.most.Load())
		err := <-second
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, fetch.ErrGaveWay)
	})
}

// A call gives way as soon as it is old enough, even if only one call waits.
func TestHangingCallGivesWayToASingleCall(t *testing.T) {
	withTurns(t, 1, func(t *testing.T, d *dial, get func(string) error) {
		require.NoError(t, get("20ms"))
		hung := started(func() error { return get("hang") })
		start := time.Now()
		require.NoError(t, get("20ms"))
		assert.Equal(t, 146*time.Millisecond, time.Since(start), "an eighth of a quarter of 4 s")
		assert.ErrorIs(t, <-hung, fetch.ErrGaveWay)
	})
}

// No call gives way if the server answers no call, or answers slowly.
func TestSlowCallsDoNotGiveWay(t *testing.T) {
	withTurns(t, 2, func(t *testing.T, d *dial, get func(string) error) {
		require.NoError(t, get("20ms"))
		<-time.After(time.Second) // the server no longer counts as alive
		first, second := started(func() error { return get("3s") }), started(func() error { return get("3s") })
		for range 2 {
			require.ErrorIs(t, get("20ms"), fetch.ErrBusy)
		}
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		third := started(func() error { return get("3s") })
		for range 5 {
			require.NoError(t, get("20ms"), "beside it")
		}
		fourth := started(func() error { return get("3s") })
		require.ErrorIs(t, get("20ms"), fetch.ErrBusy, "recent answers took 3 s")
		require.NoError(t, errors.Join(<-third, <-fourth))
	})
}

// A server that cannot answer that many calls in time gets fewer, and as many as
// before once it can.
func TestLimitFollowsTheServer(t *testing.T) {
	withTurns(t, 8, func(t *testing.T, d *dial, get func(string) error) {
		for range 3 {
			require.NoError(t, get("10ms"))
		}
		round := func(path string) (failed int64) {
			var all sync.WaitGroup
			var n atomic.Int64
			d.most.Store(0)
			for range 8 {
				all.Go(func() {
					if get(path) != nil {
						n.Add(1)
					}
				})
			}
			all.Wait()
			return n.Load()
		}
		require.Equal(t, int64(8), round("4100ms"))
		require.Equal(t, int64(8), d.most.Load())
		require.Zero(t, round("10ms"))
		assert.Less(t, d.most.Load(), int64(4), "fewer")
		for range 10 {
			require.Zero(t, round("10ms"))
		}
		assert.Equal(t, int64(8), d.most.Load(), "as many as before")
	})
}

// Calls on which the server hangs do not lower the limit while the server answers
// others quickly.
func TestHangingCallsDoNotLowerTheLimit(t *testing.T) {
	withTurns(t, 4, func(t *testing.T, d *dial, get func(string) error) {
		hung := started(func() error { return get("hang") })
		for range 4 {
			<-time.After(850 * time.Millisecond)
			require.NoError(t, get("100ms"))
		}
		require.ErrorIs(t, <-hung, context.DeadlineExceeded)
		d.most.Store(0)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { assert.NoError(t, get("100ms")) })
		}
		all.Wait()
		assert.Equal(t, int64(4), d.most.Load())
	})
}
