package revlog

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/oauthz/oauthz"
)

// Log is one shared, ordered, durable record of revocations. It must be safe for
// concurrent use, also by several processes where the store is shared.
type Log interface {
	// Append adds revs, all of them or none. A nil error means that they are
	// durable: no crash loses them, of whatever process. After an error they may
	// be there all the same, and adding them again does no harm.
	Append(ctx context.Context, revs ...oauthz.Revocation) error
	// Read returns what comes after position after ("" is the beginning of what
	// is retained), the oldest first, and the position of the last of it. While
	// there is nothing it waits, for at most wait. No entries and no error mean
	// that the reader has everything that was durable when Read was called; next
	// is then a position from which to go on.
	//
	// An entry that becomes durable while somebody reads is either returned or
	// comes after next, whatever order it was written in. An entry that cannot be
	// read is an error, never left out; those before it may come with the error,
	// and next is then the position of the last of them. [ErrTruncated]: what came
	// after the position may be gone; the reader starts again from "".
	Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error)
}

// Batcher is a Log that says how many entries a Read returns at most: one that
// returns fewer, and no error, has returned all that there was when it was
// called. From any other log a list knows that it has everything only when a
// Read returns nothing, and lags behind one that is written to without a pause.
type Batcher interface {
	Log
	Batch() int
}

// ErrTruncated says that a log does not retain what came after a position.
var ErrTruncated = errors.New("revlog: the log is truncated after the position")

// Memory is a Log in memory, for tests: it shares within one process and is as
// durable as that. The zero value is ready.
type Memory struct {
	mu      sync.Mutex
	entries []oauthz.Revocation
	first   int           // the position before the first entry
	grown   chan struct{} // closed when there is more; nil: nobody waits
}

// Append adds revs.
func (m *Memory) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, rev := range revs {
		if err := rev.Check(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rev := range revs {
		rev.Match = maps.Clone(rev.Match) // the caller's may change
		m.entries = append(m.entries, rev)
	}
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
	return nil
}

// Batch says that a Read returns all that there is.
func (m *Memory) Batch() int { return math.MaxInt }

// Read returns what comes after a position.
func (m *Memory) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		revs, next, grown, err := m.read(after)
		if err != nil || len(revs) > 0 || wait <= 0 {
			return revs, next, err
		}
		select {
		case <-ctx.Done():
			return nil, "", ctx.Err()
		case <-timer.C:
			wait = 0
		case <-grown:
		}
	}
}

func (m *Memory) read(after string) (revs []oauthz.Revocation, next string, grown <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	position := m.first
	if after != "" {
		if position, err = strconv.Atoi(after); err != nil || position < m.first || position > m.first+len(m.entries) {
			return nil, "", nil, ErrTruncated
		}
	}
	if m.grown == nil {
		m.grown = make(chan struct{})
	}
	revs = slices.Clone(m.entries[position-m.first:])
	return revs, strconv.Itoa(position + len(revs)), m.grown, nil
}

// Truncate forgets the oldest n entries, as a log does whose retention is over.
func (m *Memory) Truncate(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = min(n, len(m.entries))
	m.entries = slices.Clone(m.entries[n:])
	m.first += n
}
