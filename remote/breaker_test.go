package remote_test

import (
	"context"
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
)

// An endpoint that is down is left alone, asked by one request at a time beside a
// probe, and found when it is back.
func TestBreaker(t *testing.T) {
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
		for range 10 { // not open yet: all within a moment
			require.Zero(t, introspect())
		}
		require.Equal(t, questions{own: 10}, asked)
		<-time.After(2 * time.Second)
		require.Zero(t, introspect())
		require.Equal(t, questions{own: 11, probes: 1}, asked, "the probe opens it")
		for range 5 {
			for range 10 {
				require.Equal(t, 2*time.Second, introspect())
			}
			before := asked
			<-time.After(2 * time.Second)
			require.Zero(t, introspect())
			require.Equal(t, questions{own: before.own + 1, probes: before.probes + 1}, asked, "the trial, in vain")
		}
		up = true
		<-time.After(2 * time.Second)
		for range 5 {
			require.Zero(t, introspect())
		}
		assert.Equal(t, questions{own: 21, probes: 7}, asked)
	})
}

// questions counts the tokens that the endpoint is asked about: those of requests,
// and those of probes.
type questions struct{ own, probes int }

// counted counts the questions that reach dial.
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

// TestForgedTokensDoNotOpenTheBreaker: neither by the 500 that some servers
// answer to them, nor by anything else while others are answered.
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
			require.NoError(t, err, "a success between")
		}
	})
}

// Of the requests that come when the pause has ended, one is sent.
func TestTrialIsOne(t *testing.T) {
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
		require.Equal(t, questions{own: 100, probes: 1}, asked, "it opens")
		for n := range 5 {
			<-time.After(2 * time.Second)
			together()
			assert.Equal(t, questions{own: 101 + n, probes: 2 + n}, asked)
		}
	})
}

// A caller that goes away during the trial says nothing of the endpoint, and does
// not keep the probe from it.
func TestCancelledTrial(t *testing.T) {
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
