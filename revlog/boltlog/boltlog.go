package boltlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/settled"
	"github.com/oauthz/oauthz/revlog"
)

// Config configures a [Log]. The zero value is usable.
type Config struct {
	_ struct{}

	// Bucket is the name of the top-level bucket of the log. New creates it. Nothing else may
	// write to it. Default "oauthz_revocations".
	Bucket string
	// Now is the clock by which expired entries are deleted. Default time.Now.
	Now func() time.Time
}

const (
	defaultBucket    = "oauthz_revocations"
	maxCommitEntries = 1024 // entries of several Appends in one transaction
	maxReads         = 8    // read transactions at a time
)

var (
	errNoSync   = errors.New("the database has NoSync set: no entry would be durable")
	errReadOnly = errors.New("the database is open read-only")
)

// Log is a [revlog.Log] in a bucket of a bbolt file. It is safe for concurrent use.
//
// An Append deletes an entry some time after it has been expired for longer than
// [oauthz.MaxLeeway]. No token that such an entry matches is valid, so a reader that has not
// read it misses nothing, and its deletion never truncates a position. An entry that never
// expires is never deleted.
//
// One reading of the clock is not enough to delete an entry, because a wall clock may be far
// ahead for a moment. Appends delete an entry once every reading of this Log has agreed for
// MaxLeeway of monotonic time that it has expired. So a program that runs for less than
// MaxLeeway deletes nothing.
type Log struct {
	db        *bolt.DB
	bucket    []byte
	now       func() time.Time
	readSlots chan struct{} // one element for each read transaction in progress
	swept     uint64        // the number up to which expired entries were deleted; only the writing goroutine uses it
	settled   settled.Clock // decides which entries have certainly expired; only the writing goroutine uses it

	mu         sync.Mutex
	queue      []*call       // calls that are not in a transaction yet
	active     bool          // whether a goroutine runs work
	newEntries chan struct{} // closed when there are new entries
}

var _ revlog.Batcher = (*Log)(nil)

// call is one Append.
type call struct {
	ctx     context.Context
	records [][]byte
	done    chan error
	err     error
}

// New returns a log in a bucket of db, and creates the bucket if it is missing. It writes a
// short record each time, so it waits until no other write transaction of the program runs. It
// fails if cfg is invalid, or if db cannot keep entries durably.
func New(db *bolt.DB, cfg Config) (*Log, error) {
	if cfg.Bucket == "" {
		cfg.Bucket = defaultBucket
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.check(db); err != nil {
		return nil, err
	}
	l := &Log{
		db: db, bucket: []byte(cfg.Bucket), now: cfg.Now,
		readSlots: make(chan struct{}, maxReads), newEntries: make(chan struct{}),
	}
	if err := l.update(func(tx *bolt.Tx) error { return addOpening(tx, l.bucket) }); err != nil {
		return nil, fmt.Errorf("boltlog: open: %w", err)
	}
	return l, nil
}

func (cfg *Config) check(db *bolt.DB) error {
	var errs []error
	if db == nil {
		errs = append(errs, errors.New("boltlog: config: the database is nil"))
	}
	if db != nil && db.NoSync {
		errs = append(errs, fmt.Errorf("boltlog: config: %w", errNoSync))
	}
	if db != nil && db.IsReadOnly() {
		errs = append(errs, fmt.Errorf("boltlog: config: %w", errReadOnly))
	}
	if len(cfg.Bucket) > bolt.MaxKeySize {
		errs = append(errs, fmt.Errorf("boltlog: config: Bucket is longer than %d bytes", bolt.MaxKeySize))
	}
	return errors.Join(errs...)
}

// Append adds all of revs or none of them. It returns when the transaction is committed, which
// bolt ends with fsync: the entries are then on the disk.
//
// Appends that arrive while another one is written share the next transaction, and so one
// fsync. DB.Batch of bolt also does that, but it makes a single Append wait for others, and it
// runs a function again if another function of the same batch failed. Here no Append waits
// while the disk is idle.
func (l *Log) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("boltlog: append: %w", err)
	}
	c := &call{ctx: ctx, done: make(chan error, 1)}
	for i, rev := range revs {
		record, err := newRecord(rev)
		if err != nil {
			return fmt.Errorf("boltlog: append: entry %d: %w", i, err)
		}
		c.records = append(c.records, record)
	}
	if len(revs) == 0 {
		return nil
	}
	l.enqueue(c)
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("boltlog: append: %w", ctx.Err())
	}
}

func newRecord(rev oauthz.Revocation) ([]byte, error) {
	if err := rev.Check(); err != nil {
		return nil, err
	}
	doc, err := json.Marshal(rev)
	if err != nil { // impossible: Check has accepted rev
		return nil, errors.New("the revocation has no JSON form")
	}
	return encodeRecord(rev.Expires, doc), nil
}

// enqueue adds c to the queue. Another goroutine writes it and ends when the queue is empty.
// bolt does not support contexts: a transaction of the program, or the disk, may block the
// goroutine, but must not block Append beyond its context.
func (l *Log) enqueue(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
	if !l.active {
		l.active = true
		go l.work()
	}
}

func (l *Log) work() {
	for calls := l.next(); len(calls) > 0; calls = l.next() {
		err := l.commit(calls)
		for _, c := range calls {
			if c.err == nil {
				c.err = err
			}
			c.done <- c.err
		}
	}
}

// next returns the calls of the next transaction, and none when the goroutine must end.
func (l *Log) next() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, entries := 0, 0
	for n < len(l.queue) && (n == 0 || entries+len(l.queue[n].records) <= maxCommitEntries) {
		entries += len(l.queue[n].records)
		n++
	}
	calls := l.queue[:n:n]
	l.queue = slices.Clone(l.queue[n:])
	l.active = n > 0
	return calls
}

// commit writes the calls in one transaction, and then wakes the readers.
func (l *Log) commit(calls []*call) error {
	err := l.update(func(tx *bolt.Tx) error {
		s, err := storeIn(tx, l.bucket)
		if err != nil {
			return err
		}
		added := 0
		for _, c := range calls {
			if c.err = c.ctx.Err(); c.err != nil { // its Append has returned
				c.err = fmt.Errorf("boltlog: append: %w", c.err)
				continue
			}
			if err := s.add(c.records); err != nil {
				return err
			}
			added += len(c.records)
		}
		sure := l.settled.Observe(l.now(), oauthz.MaxLeeway)
		l.swept, err = s.sweep(l.swept, sweepAhead+2*added, sure)
		return err
	})
	if err != nil {
		return fmt.Errorf("boltlog: append: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.newEntries)
	l.newEntries = make(chan struct{})
	return nil
}

// update runs a write transaction. If it returns nil, the transaction is durable. It returns a
// panic as an error, because bolt panics if the file is damaged.
func (l *Log) update(f func(*bolt.Tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic of type %T", v)
		}
	}()
	if l.db.NoSync { // the program can set it at any time
		return errNoSync
	}
	return l.db.Update(f)
}
