package boltlog

import (
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
)

// batchSize is the most entries that one Read returns. It keeps each transaction short.
const batchSize = 512

// Batch returns the most entries that a Read returns: see [revlog.Batcher].
func (l *Log) Batch() int { return batchSize }

// batch is the result of one read transaction.
type batch struct {
	revs []oauthz.Revocation
	next string
	err  error
}

// Read returns the entries that come after a position: see [revlog.Log]. An entry that cannot
// be read is an error that names its number; the entries before it are returned with the error.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		grown := l.awaitEntries() // before the transaction: an entry that is appended after it must end the wait
		b := l.readInBackground(ctx, after)
		if b.err != nil || len(b.revs) > 0 || wait <= 0 {
			return b.revs, b.next, b.err
		}
		select {
		case <-ctx.Done():
			return nil, "", fmt.Errorf("boltlog: read: %w", ctx.Err())
		case <-timer.C:
			wait = 0 // read once more: another Log may have written
		case <-grown:
		}
	}
}

// awaitEntries returns a channel that is closed when there are new entries.
func (l *Log) awaitEntries() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newEntries
}

// readInBackground reads in a goroutine that ends with the transaction, because bolt does not
// support contexts: see enqueue. At most maxReads of these goroutines run.
func (l *Log) readInBackground(ctx context.Context, after string) batch {
	cancelled := func() batch { return batch{err: fmt.Errorf("boltlog: read: %w", ctx.Err())} }
	if ctx.Err() != nil {
		return cancelled()
	}
	select {
	case l.readSlots <- struct{}{}:
	case <-ctx.Done():
		return cancelled()
	}
	found := make(chan batch, 1)
	go func() {
		defer func() { <-l.readSlots }()
		found <- l.readBatch(after)
	}()
	select {
	case b := <-found:
		return b
	case <-ctx.Done():
		return cancelled()
	}
}

// readBatch reads one batch. It returns a panic as an error, because bolt panics if the file is
// damaged.
func (l *Log) readBatch(after string) (b batch) {
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
		n, err := s.numberOf(after)
		if err != nil {
			return err
		}
		revs, n, unread := s.batch(n)
		next, err := s.positionOf(n)
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

// batch returns entries after a number, and the number of the last one. If there are none, it
// returns the number of the newest entry that there ever was. If one entry cannot be read, the
// entries before it are returned with the error. If the bucket is damaged, no entries are
// returned.
func (s store) batch(after uint64) (revs []oauthz.Revocation, last uint64, err error) {
	cursor := s.entries.Cursor()
	for key, record := cursor.Seek(keyOf(after + 1)); key != nil && len(revs) < batchSize; key, record = cursor.Next() {
		n, err := numberOfKey(key)
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
