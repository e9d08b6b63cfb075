package redislog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// Read returns the entries after a position, the oldest first. A position holds the last entry
// that was read of each stream. Read returns [revlog.ErrTruncated] if one of these is missing:
// it had expired and was deleted, or the server lost it.
//
// While Read waits it uses one connection of the pool of the client. When ctx is done, Read
// returns within half a second, whatever the client and the server do.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	from, ok := parsePosition(after)
	if !ok {
		return nil, "", fmt.Errorf("redislog: read: not a position of this log: %w", revlog.ErrTruncated)
	}
	for deadline := time.Now().Add(wait); ; {
		left := time.Until(deadline)
		revs, next, err := l.readBatch(ctx, from, min(left, l.blockTime))
		if err == nil && len(revs) == 0 && left > 0 {
			continue
		}
		if err != nil {
			err = fmt.Errorf("redislog: read: %w", cmp.Or(ctx.Err(), err))
		}
		return revs, next.String(), err
	}
}

// readBatch reads one batch. If there are no entries, it waits, but no longer than the client
// can wait.
func (l *Log) readBatch(ctx context.Context, from position, wait time.Duration) ([]oauthz.Revocation, position, error) {
	query := func(wait time.Duration, check scriptCall) (any, error) {
		return bounded(ctx, max(wait, 0), func(ctx context.Context) (any, error) { return l.query(ctx, from, wait, check) })
	}
	reply, err := query(wait, checkScript.EvalSha)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		reply, err = query(0, checkScript.Eval)
	}
	if err != nil {
		return nil, from, err
	}
	entries, err := decodeReply(reply, l.keys)
	if err != nil {
		return nil, from, err
	}
	// The reply has Batch entries of each stream, or all of them. The oldest Batch entries of
	// both together are therefore the oldest of the log.
	entries = entries[:min(len(entries), l.cfg.Batch)]
	revs, next := make([]oauthz.Revocation, 0, len(entries)), from
	for _, e := range entries {
		rev, err := e.decode()
		if err != nil {
			return revs, next, err // the entries before it are valid
		}
		revs = append(revs, rev)
		next[e.stream] = e.id
	}
	return revs, next, nil
}

// query reads both streams, waits for the first entry if there is none, and then checks the
// position, all on one connection and so on one server. Most of the work of the server is the
// round trip. Therefore there is only one, and no entry passes through Lua.
func (l *Log) query(ctx context.Context, from position, wait time.Duration, check scriptCall) (any, error) {
	args := []any{"XREAD", "COUNT", l.cfg.Batch}
	if wait > 0 {
		args = append(args, "BLOCK", max(wait.Milliseconds(), 1)) // BLOCK 0 blocks without a limit
	}
	args = append(args, "STREAMS", l.keys[0], l.keys[1], from[0].String(), from[1].String())
	// client.XRead is not used: it waits ten seconds longer than the ReadTimeout of the client
	// for a server that hangs.
	read := redis.NewCmd(ctx, args...)
	read.SetFirstKeyPos(int8(len(args) - 4)) // a cluster client selects the server by this key
	var checked *redis.Cmd
	_, err := l.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		if err := pipe.Process(ctx, read); err != nil {
			return err
		}
		checked = check(ctx, pipe, l.keys, from[0].String(), from[1].String())
		return checked.Err()
	})
	return checkedReply(read, checked, err)
}

// checkedReply returns the entries that were read, if the position is valid. err is the first
// error of the pipeline; it is redis.Nil if there were no entries.
func checkedReply(read, checked *redis.Cmd, err error) (any, error) {
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	if err := read.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	switch present, err := checked.Int(); {
	case err != nil:
		return nil, err
	case present == 0:
		return nil, revlog.ErrTruncated
	case read.Err() != nil: // redis.Nil: there are no entries
		return []any{}, nil
	default:
		return read.Val(), nil
	}
}

type scriptCall func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd
