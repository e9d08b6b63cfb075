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

// dial answers without a network, so that the time of a bubble is enough. It
// answers a path such as /150ms after that time, and /hang never. A request that is
// canceled takes a millisecond to end.
type dial struct{ under, most, all atomic.Int64 }

func (d *dial) RoundTrip(r *http.Request) (*http.Response, error) {
	d.all.Add(1)
	d.most.Store(max(d.most.Load(), d.under.Add(1)))
	defer d.under.Add(-1)
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

// turning runs f in a bubble with a client that has 4 s for a call.
func turning(t *testing.T, concurrency int, f func(t *testing.T, d *dial, get func(path string) error)) {
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

// started runs f in the background, and returns when it waits for something.
func started(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	synctest.Wait()
	return done
}

func TestTurnIsWaitedForAQuarter(t *testing.T) {
	turning(t, 1, func(t *testing.T, d *dial, get func(string) error) {
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
func TestWaitIsNotTakenOff(t *testing.T) {
	turning(t, 1, func(t *testing.T, _ *dial, get func(string) error) {
		first := started(func() error { return get("900ms") })
		start := time.Now()
		require.NoError(t, get("3900ms"))
		assert.Equal(t, 4800*time.Millisecond, time.Since(start))
		require.NoError(t, <-first)
	})
}

// A burst waits. Once a whole round has waited for a while, others are refused.
func TestStandingQueueRefusesAtOnce(t *testing.T) {
	turning(t, 2, func(t *testing.T, _ *dial, get func(string) error) {
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

// Of a fast server, no burst is refused.
func TestBurstIsAnswered(t *testing.T) {
	turning(t, 2, func(t *testing.T, d *dial, get func(string) error) {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { assert.NoError(t, get("10ms")) })
		}
		all.Wait()
		assert.Equal(t, int64(2), d.most.Load())
	})
}

// Calls on which the server hangs give way to others, once it is known to answer,
// and never are more under way than may be.
func TestHangingCallsGiveWay(t *testing.T) {
	turning(t, 2, func(t *testing.T, d *dial, get func(string) error) {
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
		require.NoError(t, get("20ms"), "none waits, and the second stays")
		assert.Equal(t, int64(2), d.most.Load())
		err := <-second
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, fetch.ErrGaveWay)
	})
}

// A call gives way as soon as it is old enough, also to the only one that waits.
func TestHangingCallGivesWayToOne(t *testing.T) {
	turning(t, 1, func(t *testing.T, d *dial, get func(string) error) {
		require.NoError(t, get("20ms"))
		hung := started(func() error { return get("hang") })
		start := time.Now()
		require.NoError(t, get("20ms"))
		assert.Equal(t, 146*time.Millisecond, time.Since(start), "an eighth of a quarter of 4 s")
		assert.ErrorIs(t, <-hung, fetch.ErrGaveWay)
	})
}

// Where nothing is answered, or the answers are slow, no call gives way.
func TestSlowCallsDoNotGiveWay(t *testing.T) {
	turning(t, 2, func(t *testing.T, d *dial, get func(string) error) {
		require.NoError(t, get("20ms"))
		<-time.After(time.Second) // it may stall by now
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
		require.ErrorIs(t, get("20ms"), fetch.ErrBusy, "3 s were usual of late")
		require.NoError(t, errors.Join(<-third, <-fourth))
	})
}

// A server that cannot do so many within their time is given fewer, and as many
// again when it can.
func TestLimitFollowsTheServer(t *testing.T) {
	turning(t, 8, func(t *testing.T, d *dial, get func(string) error) {
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

// Calls on which the server hangs, while it answers others quickly, do not lower
// the limit.
func TestHangingCallsLeaveTheLimit(t *testing.T) {
	turning(t, 4, func(t *testing.T, d *dial, get func(string) error) {
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
