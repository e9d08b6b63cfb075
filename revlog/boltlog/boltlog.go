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

// Config says where in the file a [Log] is. The zero value is usable.
type Config struct {
	_ struct{}

	// Bucket names the top-level bucket that New creates for the log, and that
	// nothing else may write to. Default "oauthz_revocations".
	Bucket string
	// Now is the clock by which expired entries are deleted. Default time.Now.
	Now func() time.Time
}

const (
	defaultBucket = "oauthz_revocations"
	maxGroup      = 1024 // entries of several Appends in one transaction
	maxReads      = 8    // transactions that read at a time
)

var (
	errNoSync   = errors.New("the database has NoSync set: nothing would be durable")
	errReadOnly = errors.New("the database is open for reading only")
)

// Log is a [revlog.Log] in a bucket of a bbolt file. It is safe for concurrent use.
//
// An entry is deleted when it has expired for longer than [oauthz.MaxLeeway],
// some time after that, in the course of an Append: each token that it matches has
// expired, so a list that has not read it yet misses nothing, and no position is
// ever truncated by it. An entry that never expires is never deleted.
//
// Appends delete nothing on the word of one reading of the clock, for a wall clock
// may be far ahead for a moment. They delete an entry once every reading of this
// Log has agreed for MaxLeeway of monotonic time that it has expired. So a program
// that runs for less than MaxLeeway deletes nothing.
type Log struct {
	db      *bolt.DB
	bucket  []byte
	now     func() time.Time
	reading chan struct{} // has a place for each transaction that may read
	swept   uint64        // up to where expired entries were deleted; the writer's
	settled settled.Clock // decides which have certainly expired; the writer's

	mu      sync.Mutex
	queue   []*addition   // what nobody writes yet
	writing bool          // whether somebody does
	grown   chan struct{} // closed when there is more
}

var _ revlog.Batcher = (*Log)(nil)

// addition is what one Append adds.
type addition struct {
	ctx     context.Context
	records [][]byte
	done    chan error
	err     error
}

// New makes a log of a bucket of db, and the bucket if it is missing. It writes a
// short note of that, so it waits until no other transaction of the program
// writes. It fails if cfg is wrong, or db cannot keep what it is given.
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
		reading: make(chan struct{}, maxReads), grown: make(chan struct{}),
	}
	if err := l.update(func(tx *bolt.Tx) error { return reopen(tx, l.bucket) }); err != nil {
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

// Append adds revs, all or none, and returns when they are on the disk: when the
// transaction is committed, which bolt ends with fsync.
//
// Appends that come while another is written share the next transaction, and so
// one fsync. (DB.Batch does that too, but makes a lone Append wait for others to
// come, and runs a function again whose neighbour failed. Here nobody waits while
// the disk is idle.)
func (l *Log) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("boltlog: append: %w", err)
	}
	a := &addition{ctx: ctx, done: make(chan error, 1)}
	for i, rev := range revs {
		record, err := newRecord(rev)
		if err != nil {
			return fmt.Errorf("boltlog: append: entry %d: %w", i, err)
		}
		a.records = append(a.records, record)
	}
	if len(revs) == 0 {
		return nil
	}
	l.enqueue(a)
	select {
	case err := <-a.done:
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
	if err != nil { // what Check takes always has one
		return nil, errors.New("it has no form in JSON")
	}
	return unsealed(rev.Expires, doc), nil
}

// enqueue hands a to whoever writes. It is another goroutine, which ends with the
// queue, because bolt knows no context: it may be held up by a transaction of the
// program, or by the disk, and Append may not.
func (l *Log) enqueue(a *addition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, a)
	if !l.writing {
		l.writing = true
		go l.write()
	}
}

func (l *Log) write() {
	for group := l.take(); len(group) > 0; group = l.take() {
		err := l.commit(group)
		for _, a := range group {
			if a.err == nil {
				a.err = err
			}
			a.done <- a.err
		}
	}
}

// take returns what the next transaction is to write; nothing: nobody writes any more.
func (l *Log) take() []*addition {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, entries := 0, 0
	for n < len(l.queue) && (n == 0 || entries+len(l.queue[n].records) <= maxGroup) {
		entries += len(l.queue[n].records)
		n++
	}
	group := l.queue[:n:n]
	l.queue = slices.Clone(l.queue[n:])
	l.writing = n > 0
	return group
}

// commit writes group in one transaction, and then wakes the readers.
func (l *Log) commit(group []*addition) error {
	err := l.update(func(tx *bolt.Tx) error {
		s, err := storeIn(tx, l.bucket)
		if err != nil {
			return err
		}
		added := 0
		for _, a := range group {
			if a.err = a.ctx.Err(); a.err != nil { // its Append has given up
				a.err = fmt.Errorf("boltlog: append: %w", a.err)
				continue
			}
			if err := s.add(a.records); err != nil {
				return err
			}
			added += len(a.records)
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
	close(l.grown)
	l.grown = make(chan struct{})
	return nil
}

// update runs a transaction that is durable when it returns nil. bolt panics on
// a file that is damaged.
func (l *Log) update(f func(*bolt.Tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic of type %T", v)
		}
	}()
	if l.db.NoSync { // anybody can set it at any time
		return errNoSync
	}
	return l.db.Update(f)
}
