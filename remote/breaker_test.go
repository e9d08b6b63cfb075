package remote_test

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

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// retryAfter introspects a token, and returns the RetryAfter of the error, or zero.
func retryAfter(t *testing.T, in *remote.Introspector) time.Duration {
	t.Helper()
	_, err := in.Introspect(t.Context(), "opaque")
	var e *oauthz.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	require.NoError(t, err)
	return 0
}

// Only the absence of an answer opens the breaker. Missing credentials prove nothing
// about the endpoint, and do not stop the next request.
func TestOnlySilenceOpensTheBreaker(t *testing.T) {
	t.Parallel()
	large := map[int]string{200: strings.Repeat(" ", 300<<10)}
	for status, opens := range map[int]bool{200: false, 500: false, 501: false, 502: true, 503: true, 504: true} {
		synctest.Test(t, func(t *testing.T) {
			up, own := false, oauthz.Secret("own")
			in := bubbled(t, func(*http.Request) (*http.Response, error) {
				if up {
					return reply(200, good), nil
				}
				return reply(status, large[status]), nil
			}, withAuth(remote.Bearer(func(context.Context) (oauthz.Secret, error) { return own, nil })))
			for range 4 {
				require.Zero(t, retryAfter(t, in))
			}
			<-time.After(2 * time.Second)
			require.Zero(t, retryAfter(t, in))
			synctest.Wait() // for the probe
			up, own = true, ""
			assert.Equal(t, opens, retryAfter(t, in) == 2*time.Second, status)
			<-time.After(2 * time.Second)
			for range 10 {
				require.Zero(t, retryAfter(t, in), "no credentials")
				synctest.Wait()
			}
			own = "own"
			_, err := in.Introspect(t.Context(), "opaque")
			assert.NoError(t, err)
		})
	}
}

// A flood that takes all turns of a slow, healthy endpoint does not open the breaker,
// because the endpoint answers some of the calls.
func TestFloodDoesNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(200 * time.Millisecond):
				return reply(200, good), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}, func(c *remote.Config) { c.MaxConcurrent, c.Timeout = 4, time.Second })
		down := 0
		for range 600 { // sixty a second, of which twenty can be served
			go func() {
				if _, err := in.Introspect(t.Context(), "forged"); isDown(err) {
					down++
				}
			}()
			<-time.After(16 * time.Millisecond)
		}
		<-time.After(5 * time.Second)
		assert.Zero(t, down)
		_, err := in.Introspect(t.Context(), "good")
		assert.NoError(t, err)
	})
}

// The breaker detects an endpoint that hangs, even if every caller gives up early.
func TestHangIsDetectedThoughCallersGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, err := in.Introspect(ctx, "opaque")
			require.Error(t, err)
			cancel()
		}
		go func() { _, _ = in.Introspect(t.Context(), "opaque") }() // the trial
		synctest.Wait()
		_, err := in.Introspect(t.Context(), "opaque")
		assert.True(t, isDown(err), "%v", err)
	})
}

// A hook that panics during the trial and during the probe neither ends the process
// nor keeps the breaker open.
func TestPanicDuringTheProbeIsRecovered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64 // 0: panic
		status.Store(503)
		in := bubbled(t, func(*http.Request) (*http.Response, error) {
			if status.Load() == 0 {
				panic("hook")
			}
			return reply(int(status.Load()), good), nil
		})
		for range 5 {
			_, err := in.Introspect(t.Context(), "opaque")
			require.Error(t, err)
			<-time.After(time.Second)
		}
		status.Store(0)
		for range 10 {
			<-time.After(2 * time.Second)
			assert.Panics(t, func() { _, _ = in.Introspect(t.Context(), "opaque") })
			synctest.Wait()
		}
		status.Store(200)
		<-time.After(2 * time.Second)
		_, err := in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}

// While the endpoint is down, it gets one request at a time, beside a probe. The
// breaker detects when the endpoint is back.
func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, up := questions{}, false
		in := bubbled(t, counted(&asked, func(*http.Request) (*http.Response, error) {
			if up {
				return reply(200, good), nil
			}
			return reply(503, ""), nil
		}))
		introspect := func() time.Duration {
			wait := retryAfter(t, in)
			synctest.Wait() // for the probe
			return wait
		}
		for range 10 { // not open yet: all requests come at the same moment
			require.Zero(t, introspect())
		}
		require.Equal(t, questions{own: 10}, asked)
		<-time.After(2 * time.Second)
		require.Zero(t, introspect())
		require.Equal(t, questions{own: 11, probes: 1}, asked, "the probe opens the breaker")
		for range 5 {
			for range 10 {
				require.Equal(t, 2*time.Second, introspect())
			}
			before := asked
			<-time.After(2 * time.Second)
			require.Zero(t, introspect())
			require.Equal(t, questions{own: before.own + 1, probes: before.probes + 1}, asked, "the trial fails")
		}
		up = true
		<-time.After(2 * time.Second)
		for range 5 {
			require.Zero(t, introspect())
		}
		assert.Equal(t, questions{own: 21, probes: 7}, asked)
	})
}

// questions counts the calls about tokens of requests, and those of probes.
type questions struct{ own, probes int }

// counted returns dial with a count of the questions that reach it.
func counted(asked *questions, dial transport) transport {
	var mu sync.Mutex
	return func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		if strings.Contains(string(body), "token=opaque&") {
			asked.own++
		} else {
			asked.probes++
		}
		mu.Unlock()
		return dial(r)
	}
}

// Forged tokens do not open the breaker: neither by the 500 with which some servers
// answer them, nor by any other failure while other tokens are answered.
func TestForgedTokensDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failure := 500
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), "forged") {
				return reply(failure, ""), nil
			}
			return reply(200, good), nil
		})
		for range 1000 {
			_, err := in.Introspect(t.Context(), "forged")
			require.Error(t, err)
			<-time.After(time.Second)
		}
		_, err := in.Introspect(t.Context(), "good")
		require.NoError(t, err, "a 500 never counts")
		failure = 502
		for range 100 {
			for range 4 {
				_, err := in.Introspect(t.Context(), "forged")
				require.Error(t, err)
				<-time.After(time.Second)
			}
			_, err := in.Introspect(t.Context(), "good")
			require.NoError(t, err, "an answer in between")
		}
	})
}

// Of the requests that come when trialInterval has passed, one is sent.
func TestOneRequestIsTheTrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := questions{}
		in := bubbled(t, counted(&asked, func(*http.Request) (*http.Response, error) {
			<-time.After(time.Second)
			return reply(504, ""), nil
		}))
		together := func() {
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					_, err := in.Introspect(t.Context(), "opaque")
					assert.ErrorIs(t, err, oauthz.ErrUnavailable)
				})
			}
			all.Wait()
			synctest.Wait()
		}
		together()
		<-time.After(2 * time.Second)
		together()
		require.Equal(t, questions{own: 100, probes: 1}, asked, "the breaker opens")
		for n := range 5 {
			<-time.After(2 * time.Second)
			together()
			assert.Equal(t, questions{own: 101 + n, probes: 2 + n}, asked)
		}
	})
}

// A caller that goes away during the trial proves nothing about the endpoint, and
// does not stop the probe.
func TestCanceledTrialLeavesTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			var answer <-chan time.Time
			if up.Load() {
				answer = time.After(time.Second)
			}
			select {
			case <-answer:
				return reply(200, good), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		for range 5 {
			_, err := in.Introspect(t.Context(), "opaque")
			require.Error(t, err)
		}
		<-time.After(10 * time.Second)
		up.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := in.Introspect(ctx, "opaque")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = in.Introspect(t.Context(), "opaque")
		require.True(t, isDown(err), "%v", err)
		<-time.After(1100 * time.Millisecond)
		_, err = in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}
