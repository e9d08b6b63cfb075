package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
)

func TestForgetDuringACallStartsANewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		next := &upstream{}
		next.answer = func(context.Context, string) (*oauthz.Token, error) {
			<-release
			return oauthztest.Token(nil), nil
		}
		c := newCache(t, next, cache.Config{})
		var all sync.WaitGroup
		all.Go(func() { assert.Equal(t, 204, request(t, c, "token").status) })
		synctest.Wait()
		c.Forget("token")
		all.Go(func() { assert.Equal(t, 204, request(t, c, "token").status) })
		synctest.Wait()
		assert.Equal(t, int64(2), next.calls.Load(), "the second request calls again: the first answer may be older")
		close(release)
		all.Wait()
		assert.Equal(t, remembered, request(t, c, "token"), "the second answer is remembered")
	})
}

// A thousand requests with one new token cause one call.
func TestConcurrentRequestsCauseOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := answers(oauthztest.Claims{"sub": "alice"})
		answer := next.answer
		next.answer = func(ctx context.Context, token string) (*oauthz.Token, error) {
			<-time.After(time.Second)
			return answer(ctx, token)
		}
		c := newCache(t, next, cache.Config{})
		var same atomic.Int64
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if got, err := c.Introspect(t.Context(), "token"); err == nil && got.Subject == "alice" {
					same.Add(1)
				}
			})
		}
		all.Wait()
		t.Logf("1000 requests: %d calls, %d the same answer", next.calls.Load(), same.Load())
		assert.Equal(t, int64(1), next.calls.Load())
		assert.Equal(t, int64(1000), same.Load())
	})
}

// A request that looked up the token just before the answer arrived also gets that answer.
func TestLateRequestGetsTheRememberedAnswer(t *testing.T) {
	for name, answer := range map[string]*upstream{
		"accepted": answers(oauthztest.Claims{"sub": "alice"}), "refused": failsWith(oauthz.ErrInvalidToken),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var late atomic.Bool
				hold := make(chan struct{})
				c := newCache(t, answer, cache.Config{Now: func() time.Time {
					if late.CompareAndSwap(true, false) {
						defer func() { <-hold }()
						return time.Now()
					}
					return time.Now().Add(time.Millisecond)
				}})
				var first, second error
				var clients sync.WaitGroup
				late.Store(true)
				clients.Go(func() { _, second = c.Introspect(t.Context(), "token") })
				synctest.Wait()
				_, first = c.Introspect(t.Context(), "token")
				close(hold)
				clients.Wait()
				assert.Equal(t, int64(1), answer.calls.Load())
				assert.Equal(t, first, second)
			})
		})
	}
}

// The request that started the call is canceled; the others get their answer.
func TestOtherRequestsSurviveCancelOfTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &upstream{answer: func(ctx context.Context, _ string) (*oauthz.Token, error) {
			select {
			case <-time.After(time.Second):
				return oauthztest.Token(nil), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		c := newCache(t, next, cache.Config{})
		leader, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := c.Introspect(leader, "token")
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		var good atomic.Int64
		for range 999 {
			all.Go(func() {
				if _, err := c.Introspect(t.Context(), "token"); err == nil {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		t.Logf("first caller cancelled: %d of 999 got the answer, %d calls", good.Load(), next.calls.Load())
		assert.Equal(t, int64(999), good.Load())
		assert.Equal(t, int64(1), next.calls.Load())
	})
}

// If all requests are canceled, the call is canceled too, and the next request
// does not get the cancellation as its answer.
func TestCallIsCanceledWithItsLastRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{}, 2)
		next := &upstream{}
		next.answer = func(ctx context.Context, _ string) (*oauthz.Token, error) {
			if next.calls.Load() > 1 {
				return oauthztest.Token(nil), nil
			}
			<-ctx.Done()
			ended <- struct{}{}
			<-time.After(time.Second) // slow to end
			return nil, ctx.Err()
		}
		c := newCache(t, next, cache.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = c.Introspect(ctx, "token") }()
		synctest.Wait()
		cancel()
		<-ended
		assert.Equal(t, fresh, request(t, c, "token"))
	})
}
