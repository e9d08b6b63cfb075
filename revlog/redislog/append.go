package redislog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/redis/go-redis/v9"

	"github.com/oauthz/oauthz"
)

// maxAppend bounds one Append: it is one script, during which the server does
// nothing else.
const maxAppend = 10_000

// maxRandom is large enough that ids do not meet, and leaves room to count on.
const maxRandom = 1 << 40

// Append adds revs, at most 10,000, all of them or none. A nil error means that
// the server has acknowledged them: what that is worth is its configuration's
// doing. go-redis tries again when a connection breaks, so an entry may be
// there twice, which does no harm. When ctx is done Append returns within half a
// second, whatever the client does; the entries may then be there or come later.
func (l *Log) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("redislog: append: %w", err)
	}
	if len(revs) == 0 {
		return nil
	}
	args, err := l.appendArgs(revs)
	if err != nil {
		return err
	}
	_, err = bounded(ctx, 0, func(ctx context.Context) (any, error) {
		if l.cfg.Replicas > 0 {
			return nil, l.appendAndWait(ctx, args)
		}
		return appendScript.Run(ctx, l.client, l.keys, args...).Result()
	})
	if err != nil {
		return fmt.Errorf("redislog: append: %w", err)
	}
	return nil
}

// appendArgs returns the arguments of append.lua.
func (l *Log) appendArgs(revs []oauthz.Revocation) ([]any, error) {
	if len(revs) > maxAppend {
		return nil, fmt.Errorf("redislog: append: more than %d entries", maxAppend)
	}
	args := []any{l.cfg.Now().UnixMilli(), l.cfg.Retention.Milliseconds(), rand.Int64N(maxRandom)}
	for i, rev := range revs {
		doc, err := rev.MarshalJSON() // which fails for what no list would take
		if err != nil {
			return nil, fmt.Errorf("redislog: append: entry %d: %w", i, err)
		}
		over := any("")
		if !rev.Expires.IsZero() {
			// It ends within that millisecond. What ended before 1970 would have a sign, which no trim
			// takes for a time: it, and so all behind it, would stay for ever.
			over = max(rev.Expires.Add(oauthz.MaxLeeway).UnixMilli()+1, 0)
		}
		args = append(args, over, doc)
	}
	return args, nil
}

// errReplicas: the master has it, and would lose it with a failover now.
var errReplicas = errors.New("too few replicas have it")

// appendAndWait sends the script and WAIT down one connection, for WAIT is about
// what its connection wrote.
func (l *Log) appendAndWait(ctx context.Context, args []any) error {
	node, err := l.node(ctx)
	if err != nil {
		return err
	}
	var had *redis.Cmd
	_, err = node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		appendScript.Eval(ctx, pipe, l.keys, args...) // not by its hash: a pipeline cannot try again
		had = pipe.Do(ctx, "WAIT", l.cfg.Replicas, l.acked.Milliseconds())
		return nil
	})
	if err != nil {
		return err
	}
	if n, err := had.Int(); err != nil || n < l.cfg.Replicas {
		return errors.Join(errReplicas, err)
	}
	return nil
}
