package redislog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/redis/go-redis/v9"

	"github.com/oauthz/oauthz"
)

// maxAppend is the most entries of one Append: it is one script, and the server runs nothing
// else meanwhile.
const maxAppend = 10_000

// maxRandom is large enough that ids do not collide, and small enough that sums stay exact in
// Lua.
const maxRandom = 1 << 40

// Append adds revs, at most 10,000, all of them or none. A nil error means that the server has
// acknowledged them; whether they are durable depends on the configuration of the server.
// go-redis sends a command again when a connection breaks, so an entry may be in the log twice,
// which does no harm. When ctx is done, Append returns within half a second, whatever the
// client does; the entries may then be in the log, or be added later.
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
		doc, err := rev.MarshalJSON() // fails if no list would accept rev
		if err != nil {
			return nil, fmt.Errorf("redislog: append: entry %d: %w", i, err)
		}
		expires := any("")
		if !rev.Expires.IsZero() {
			// The entry expires within that millisecond. A time before 1970 would be negative, and the script
			// does not accept a sign: the entry, and all entries behind it, would never be deleted.
			expires = max(rev.Expires.Add(oauthz.MaxLeeway).UnixMilli()+1, 0)
		}
		args = append(args, expires, doc)
	}
	return args, nil
}

// errReplicas means that the master has the entries, and that a failover now would lose them.
var errReplicas = errors.New("too few replicas have the entries")

// appendAndWait sends the script and WAIT over one connection, because WAIT counts the replicas
// that have the writes of its own connection.
func (l *Log) appendAndWait(ctx context.Context, args []any) error {
	node, err := l.node(ctx)
	if err != nil {
		return err
	}
	var wait *redis.Cmd
	_, err = node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		appendScript.Eval(ctx, pipe, l.keys, args...) // not EvalSha: a pipeline cannot load the script when it is missing
		wait = pipe.Do(ctx, "WAIT", l.cfg.Replicas, l.replicaTimeout.Milliseconds())
		return nil
	})
	if err != nil {
		return err
	}
	switch n, err := wait.Int(); {
	case err != nil:
		return fmt.Errorf("%w: %w", errReplicas, err)
	case n < l.cfg.Replicas:
		return errReplicas
	}
	return nil
}
