package boltlog

import (
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
)

// maxBatch is how many entries one Read returns at most, so that no transaction
// lasts long.
const maxBatch = 512

// Batch is how many entries a Read returns at most: see [revlog.Batcher].
func (l *Log) Batch() int { return maxBatch }

// batch is what one look at the file found.
type batch struct {
	revs []oauthz.Revocation
	next string
	err  error
}

// Read returns what comes after a position. An entry that cannot be read is an
// error, which says its number; those before it come with the error.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		grown := l.whenGrown() // before looking: what comes in between must wake
		b := l.look(ctx, after)
		if b.err != nil || len(b.revs) > 0 || wait <= 0 {
			return b.revs, b.next, b.err
		}
		select {
		case <-ctx.Done():
			return nil, "", fmt.Errorf("boltlog: read: %w", ctx.Err())
		case <-timer.C:
			wait = 0 // and look again: another Log may have written
		case <-grown:
		}
	}
}

func (l *Log) whenGrown() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grown
}

// look reads in a goroutine, which ends with the transaction, because bolt knows
// no context: see enqueue. There are never more than maxReads of them.
func (l *Log) look(ctx context.Context, after string) batch {
	cancelled := func() batch { return batch{err: fmt.Errorf("boltlog: read: %w", ctx.Err())} }
	if ctx.Err() != nil {
		return cancelled()
	}
	select {
	case l.reading <- struct{}{}:
	case <-ctx.Done():
		return cancelled()
	}
	found := make(chan batch, 1)
	go func() {
		defer func() { <-l.reading }()
		found <- l.view(after)
	}()
	select {
	case b := <-found:
		return b
	case <-ctx.Done():
		return cancelled()
	}
}

// view reads one batch. bolt panics on a file that is damaged.
func (l *Log) view(after string) (b batch) {
	defer func() {
		if v := recover(); v != nil {
			b = batch{err: fmt.Errorf("boltlog: read: panic of type %T", v)}
		}
	}()
	err := l.db.View(func(tx *bolt.Tx) error {
		s, err := storeIn(tx, l.bucket)
		if err != nil {
			return err
		}
		n, err := s.after(after)
		if err != nil {
			return err
		}
		revs, n, unread := s.batch(n)
		next, err := s.position(n)
		if err != nil {
			return err
		}
		b.revs, b.next = revs, next
		return unread
	})
	if err != nil {
		b.err = fmt.Errorf("boltlog: read: %w", err)
	}
	return b
}

// batch returns entries after a number, and the number of the last of them; if
// there are none, of the last that there ever was. With the error of an entry
// come those before it; with one of the bucket comes nothing.
func (s store) batch(after uint64) (revs []oauthz.Revocation, last uint64, err error) {
	cursor := s.entries.Cursor()
	for key, record := cursor.Seek(keyOf(after + 1)); key != nil && len(revs) < maxBatch; key, record = cursor.Next() {
		n, err := numberOf(key)
		if err != nil {
			return nil, 0, err
		}
		if n > s.entries.Sequence() {
			return nil, 0, errBehind
		}
		rev, err := decode(key, record)
		if err != nil {
			return revs, last, fmt.Errorf("entry %d: %w", n, err)
		}
		revs, last = append(revs, rev), n
	}
	if len(revs) == 0 {
		last = s.entries.Sequence()
	}
	return revs, last, nil
}
