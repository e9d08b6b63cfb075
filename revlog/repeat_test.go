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

// A client that revokes one token a thousand times, in sequence or concurrently, on one
// instance or on two, makes the log longer by one entry.
func TestRevokingAgainMakesTheLogNoLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		log.write = func(ctx context.Context, revs ...oauthz.Revocation) error {
			<-time.After(10 * time.Millisecond)
			return log.Memory.Append(ctx, revs...)
		}
		one, two := openReady(t, log, revlog.Config{}), openReady(t, log, revlog.Config{})
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() { assert.NoError(t, one.Revoke(t.Context(), jti("1"))) })
		}
		wg.Wait()
		synctest.Wait()
		for range 250 {
			require.NoError(t, one.Revoke(t.Context(), jti("1")))
			require.NoError(t, two.Revoke(t.Context(), jti("1")))
		}
		assert.Equal(t, []string{"1"}, idsInLog(t, log))
		require.NoError(t, one.Revoke(t.Context(), jti("1"), jti("2")))
		assert.Equal(t, []string{"1", "2"}, idsInLog(t, log))
	})
}

// A revocation is written if it revokes more than the list holds: for longer, or later tokens,
// or other tokens.
func TestRevokingMoreIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		rev := func(name string, until, expires time.Time) oauthz.Revocation {
			return oauthz.Revocation{Match: map[string]any{"iss": issuer, "sub": name}, IssuedUntil: until, Expires: expires, Reason: until.String()}
		}
		log := &scriptedLog{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{})
		for _, tt := range []struct {
			name string
			rev  oauthz.Revocation
			want int // appends in all
		}{
			{"first", rev("u", now, now.Add(time.Hour)), 1},
			{"the same", rev("u", now, now.Add(time.Hour)), 1},
			{"less", rev("u", now.Add(-1), now.Add(time.Minute)), 1},
			{"longer", rev("u", now, now.Add(time.Hour+1)), 2},
			{"later tokens", rev("u", now.Add(1), now.Add(time.Hour)), 3},
			{"without an end", rev("u", now, time.Time{}), 4},
			{"all tokens", rev("u", time.Time{}, time.Time{}), 5},
			{"covered by that", rev("u", now.Add(time.Hour), now.Add(time.Hour)), 5},
			{"another user", rev("v", now, now.Add(time.Hour)), 6},
		} {
			require.NoError(t, list.Revoke(t.Context(), tt.rev), tt.name)
			assert.Equal(t, tt.want, log.countAppends(), tt.name)
		}
	})
}

// A list that is late does not assume that the log has an entry.
func TestRevokingAgainWhenLateIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{})
		require.NoError(t, list.Revoke(t.Context(), jti("1")))
		log.setRead(down)
		log.setAppend(func(context.Context, ...oauthz.Revocation) error { return errDown })
		advance(time.Second)
		require.NoError(t, list.Revoke(t.Context(), jti("1")))
		advance(time.Minute)
		require.ErrorIs(t, list.Revoke(t.Context(), jti("1")), errDown)
	})
}

// If many callers revoke one token while the log fails, each of them receives the error within
// Timeout, and the next revocation is written.
func TestConcurrentRevokesFailWithinTheirTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{Timeout: time.Second})
		log.setAppend(func(ctx context.Context, _ ...oauthz.Revocation) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { assert.ErrorIs(t, list.Revoke(t.Context(), jti("1")), context.DeadlineExceeded) })
		}
		wg.Wait()
		assert.Equal(t, time.Second, time.Since(start))
		log.setAppend(nil)
		require.NoError(t, list.Revoke(t.Context(), jti("1")))
		assert.Equal(t, []string{"1"}, idsInLog(t, log))
	})
}
