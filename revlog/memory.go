package revlog

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/oauthz/oauthz"
)

// Memory is a Log in memory, for tests: it shares within one process and is as
// durable as that. The zero value is ready.
type Memory struct {
	mu      sync.Mutex
	entries []numbered
	given   int           // the number of the last entry that there ever was
	dropped int           // that of the last that was truncated
	grown   chan struct{} // closed when there is more; nil: no Read waits
}

// numbered is an entry and its number, which is its position.
type numbered struct {
	n   int
	rev oauthz.Revocation
}

// Append adds revs.
func (m *Memory) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stored := make([]oauthz.Revocation, len(revs)) // the caller's may change
	for i, rev := range revs {
		doc, err := rev.MarshalJSON()
		if err != nil {
			return err
		}
		if err := stored[i].UnmarshalJSON(doc); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rev := range stored {
		m.given++
		m.entries = append(m.entries, numbered{m.given, rev})
	}
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
	return nil
}

// Batch returns the largest int: a Read returns all that there is.
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
	from, position := 0, m.dropped
	if after != "" {
		position, err = strconv.Atoi(after)
		at, found := slices.BinarySearchFunc(m.entries, position, func(e numbered, n int) int { return e.n - n })
		if from = at + 1; !found {
			from = at
		}
		if err != nil || !found && position != m.dropped {
			return nil, "", nil, ErrTruncated
		}
	}
	if m.grown == nil {
		m.grown = make(chan struct{})
	}
	for _, e := range m.entries[from:] {
		revs, position = append(revs, e.rev), e.n
	}
	return revs, strconv.Itoa(position), m.grown, nil
}

// Truncate forgets the oldest n entries, as a log does whose retention is over.
func (m *Memory) Truncate(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n = min(n, len(m.entries)); n > 0 {
		m.dropped = m.entries[n-1].n
		m.entries = slices.Clone(m.entries[n:])
	}
}

// Lose forgets the newest n entries, or all if n is negative, as a store does that
// is restored from an older copy. Reads that wait notice it.
func (m *Memory) Lose(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n < 0 || n > len(m.entries) {
		n = len(m.entries)
	}
	m.entries = slices.Clone(m.entries[:len(m.entries)-n])
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
}
