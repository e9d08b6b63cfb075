package redislog

import (
	"context"
	"fmt"
	"time"
)

// grace is how long a command may continue after its context is done, beyond the time for which
// it blocks.
const grace = 100 * time.Millisecond

// bounded runs commands that may block for a time, and returns soon after ctx is done, whatever
// the client does. While go-redis waits for an answer, it uses the context only if the client
// was made with ContextTimeoutEnabled; otherwise it waits for its ReadTimeout, several times.
// The commands may take effect after bounded has returned. They run for as long as the timeouts
// of the client allow, and each holds a connection of the pool. There are therefore never more
// of them than the pool has connections, because the wait for a connection does end with the
// context. bounded returns a panic of a hook of the client as an error.
func bounded[T any](ctx context.Context, blocks time.Duration, run func(context.Context) (T, error)) (result T, err error) {
	if err := ctx.Err(); err != nil {
		return result, err
	}
	type outcome struct {
		result T
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if v := recover(); v != nil {
				o.err = fmt.Errorf("panic of type %T", v)
			}
			ended <- o
		}()
		o.result, o.err = run(ctx)
	}()
	select {
	case o := <-ended:
		return o.result, o.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(blocks + grace)
	defer timer.Stop()
	select {
	case o := <-ended:
		return o.result, o.err
	case <-timer.C:
		return result, ctx.Err()
	}
}
