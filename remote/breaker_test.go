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
)

// TestBreaker: an endpoint that is down is left alone for growing pauses, asked
// by one request at a time, and found when it is back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, up := 0, false
		in := bubbled(t, func(*http.Request) (*http.Response, error) {
			calls++
			if up {
				return reply(200, good), nil
			}
			return reply(503, ""), nil
		})
		introspect := func() (time.Duration, error) {
			_, err := in.Introspect(t.Context(), "opaque")
			var e *oauthz.Error
			if errors.As(err, &e) {
				return e.RetryAfter, err
			}
			return 0, err
		}
		for range 10 { // not open yet: all within a moment
			_, err := introspect()
			require.Error(t, err)
		}
		require.Equal(t, 10, calls)
		<-time.After(3 * time.Second)
		_, err := introspect() // this one opens it
		require.Error(t, err)
		require.Equal(t, 11, calls)
		wait, err := introspect()
		require.ErrorIs(t, err, oauthz.ErrUnavailable)
		assert.Equal(t, time.Second, wait)
		assert.Equal(t, 11, calls, "left alone")
		<-time.After(wait)
		_, err = introspect() // a probe, in vain
		require.Error(t, err)
		require.Equal(t, 12, calls)
		wait, _ = introspect()
		assert.Equal(t, 2*time.Second, wait, "a longer pause")
		require.Equal(t, 12, calls)
		up = true
		<-time.After(wait)
		for range 5 {
			_, err := introspect()
			require.NoError(t, err)
		}
		assert.Equal(t, 17, calls)
	})
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

// TestProbeIsOne: of the requests that come when the pause is over, one is sent.
func TestProbeIsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			calls.Add(1)
			<-time.After(time.Second)
			return reply(504, ""), nil
		})
		for range 5 {
			_, err := in.Introspect(t.Context(), "opaque")
			require.Error(t, err)
		}
		before := calls.Load()
		<-time.After(2 * time.Second)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_, err := in.Introspect(t.Context(), "opaque")
				assert.ErrorIs(t, err, oauthz.ErrUnavailable)
			})
		}
		all.Wait()
		assert.Equal(t, before+1, calls.Load())
	})
}

// A caller that goes away during the probe says nothing of the endpoint, and
// leaves the way free for the next.
func TestCancelledProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := false
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			if up {
				return reply(200, good), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		for range 5 {
			_, err := in.Introspect(t.Context(), "opaque")
			require.Error(t, err)
		}
		<-time.After(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := in.Introspect(ctx, "opaque")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		up = true
		_, err = in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}
