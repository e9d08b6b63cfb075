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

// Read returns what comes after a position, the oldest first. A position names the
// last entry that was read of each stream. It is [revlog.ErrTruncated] when one of
// these is not there: it had expired and was dropped, or the server lost it.
//
// While it waits it uses one connection of the client's pool. When ctx is done it
// returns within half a second, whatever the client and the server do.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	from, ok := parsePosition(after)
	if !ok {
		return nil, "", fmt.Errorf("%w: it is not a position of this log", revlog.ErrTruncated)
	}
	for deadline := time.Now().Add(wait); ; {
		left := time.Until(deadline)
		revs, next, err := l.fetch(ctx, from, min(left, l.slice))
		if err == nil && len(revs) == 0 && left > 0 {
			continue
		}
		if err != nil {
			err = fmt.Errorf("redislog: read: %w", cmp.Or(ctx.Err(), err))
		}
		return revs, next.String(), err
	}
}

// fetch reads one batch. If there is nothing, it waits for a while that the client
// can wait.
func (l *Log) fetch(ctx context.Context, from position, wait time.Duration) ([]oauthz.Revocation, position, error) {
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
	// Of each stream there are as many as were asked for, or all: so the oldest of both together are the oldest there are.
	entries = entries[:min(len(entries), l.cfg.Batch)]
	revs, next := make([]oauthz.Revocation, 0, len(entries)), from
	for _, e := range entries {
		rev, err := e.decode()
		if err != nil {
			return revs, next, err // what comes before it counts
		}
		revs = append(revs, rev)
		next[e.stream] = e.id
	}
	return revs, next, nil
}

// query reads both streams, waits for the first entry if there is none, and then
// checks the position, all on one connection and so on one server. What it costs
// the server is mostly the round trip: so there is one, and Lua sees no entries.
func (l *Log) query(ctx context.Context, from position, wait time.Duration, check scriptCall) (any, error) {
	args := []any{"XREAD", "COUNT", l.cfg.Batch}
	if wait > 0 {
		args = append(args, "BLOCK", max(wait.Milliseconds(), 1)) // BLOCK 0 is for ever
	}
	args = append(args, "STREAMS", l.keys[0], l.keys[1], from[0].String(), from[1].String())
	// Not client.XRead, which gives a server that hangs ten seconds more than the client's ReadTimeout.
	read := redis.NewCmd(ctx, args...)
	read.SetFirstKeyPos(int8(len(args) - 4)) // so that a cluster finds the server
	var checked *redis.Cmd
	_, err := l.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		if err := pipe.Process(ctx, read); err != nil {
			return err
		}
		checked = check(ctx, pipe, l.keys, from[0].String(), from[1].String())
		return checked.Err()
	})
	return answer(read, checked, err)
}

// answer returns what was read, if the position holds. Err is the first error of
// the pipeline, and Nil if nothing was read.
func answer(read, checked *redis.Cmd, err error) (any, error) {
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	if err := read.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	switch there, err := checked.Int(); {
	case err != nil:
		return nil, err
	case there == 0:
		return nil, revlog.ErrTruncated
	case read.Err() != nil: // Nil
		return []any{}, nil
	default:
		return read.Val(), nil
	}
}

type scriptCall func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd
