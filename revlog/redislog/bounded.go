package redislog

import (
	"context"
	"fmt"
	"time"
)

// grace is how long a command whose context is done may take to end by itself,
// beyond the time for which it blocks.
const grace = 100 * time.Millisecond

// bounded runs commands that block for a time, and returns soon after ctx is done, whatever the client
// does: go-redis heeds a context while it waits for an answer only if the client
// was made with ContextTimeoutEnabled, and otherwise waits for its ReadTimeout,
// several times. The commands may then still take effect. They go on for as long
// as the timeouts of the client allow, and hold a connection of its pool: so there
// are never more of them than the pool has connections, for the wait for one heeds
// contexts. A hook of the client that panics is an error.
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
