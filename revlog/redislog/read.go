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

// Read returns what comes after a position, the oldest first. A position is the
// id of the last entry that was read. It is [revlog.ErrTruncated] when that entry
// is not there: it was over and has been dropped, or the server lost it.
//
// While it waits it uses one connection of the client's pool. When ctx is done
// it returns within a quarter of a second, or the client's ReadTimeout if the
// server hangs.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	position := entryID{}
	if after != "" {
		var ok bool
		if position, ok = parseID(after); !ok {
			return nil, "", fmt.Errorf("%w: it is not a position of this log", revlog.ErrTruncated)
		}
	}
	for deadline := time.Now().Add(wait); ; {
		if err := ctx.Err(); err != nil {
			return nil, "", fmt.Errorf("redislog: read: %w", err)
		}
		revs, next, err := l.fetch(ctx, position)
		left := time.Until(deadline)
		if err == nil && len(revs) == 0 && left > 0 {
			err = l.await(ctx, position, min(left, l.slice))
			if err == nil {
				continue
			}
		}
		if err != nil {
			err = fmt.Errorf("redislog: read: %w", cmp.Or(ctx.Err(), err))
		}
		return revs, next.String(), err
	}
}

// fetch reads one batch.
func (l *Log) fetch(ctx context.Context, after entryID) ([]oauthz.Revocation, entryID, error) {
	reply, err := readScript.Run(ctx, l.client, l.keys, after.String(), l.cfg.Batch).Result()
	if errors.Is(err, redis.Nil) {
		return nil, after, revlog.ErrTruncated
	}
	if err != nil {
		return nil, after, err
	}
	entries, err := decodeReply(reply)
	if err != nil {
		return nil, after, err
	}
	// Of each stream there are as many as were asked for, or all: so the oldest of both together are the oldest there are.
	entries = entries[:min(len(entries), l.cfg.Batch)]
	revs, next := make([]oauthz.Revocation, 0, len(entries)), after
	for _, e := range entries {
		rev, err := e.decode()
		if err != nil {
			return revs, next, err // what comes before it counts
		}
		revs, next = append(revs, rev), e.id
	}
	return revs, next, nil
}

// await waits until there may be something after a position. What it is told is
// only that: between two commands another server may have become the master, so
// what there is is read by [Log.fetch], which checks the position.
func (l *Log) await(ctx context.Context, after entryID, wait time.Duration) error {
	block := max(wait.Milliseconds(), 1) // BLOCK 0 is for ever
	// Not client.XRead, which gives a server that hangs ten seconds more than the client's ReadTimeout.
	cmd := redis.NewXStreamSliceCmd(ctx, "XREAD", "COUNT", 1, "BLOCK", block, "STREAMS",
		l.keys[0], l.keys[1], after.String(), after.String())
	cmd.SetFirstKeyPos(6) // so that a cluster need not redirect it
	if err := l.client.Process(ctx, cmd); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}
