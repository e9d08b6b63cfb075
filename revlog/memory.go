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

// Memory is a Log in memory, for tests. Only one process can use it, and its entries are lost
// when the process ends. The zero value is an empty log. Memory is safe for concurrent use.
type Memory struct {
	mu          sync.Mutex
	entries     []numbered
	lastNumber  int           // the number of the newest entry that there ever was
	truncatedAt int           // the number of the newest entry that Truncate removed
	newEntries  chan struct{} // closed when there are new entries; nil if no Read waits
}

// numbered is an entry with its number, which is its position.
type numbered struct {
	n   int
	rev oauthz.Revocation
}

// Append adds all of revs or none of them.
func (m *Memory) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stored := make([]oauthz.Revocation, len(revs)) // copies: the caller may change revs
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
		m.lastNumber++
		m.entries = append(m.entries, numbered{m.lastNumber, rev})
	}
	if m.newEntries != nil {
		close(m.newEntries)
		m.newEntries = nil
	}
	return nil
}

// Batch returns the largest int, because a Read returns every entry that there is.
func (m *Memory) Batch() int { return math.MaxInt }

// Read returns the entries that come after a position: see [Log].
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
	from, position := 0, m.truncatedAt
	if after != "" {
		position, err = strconv.Atoi(after)
		at, found := slices.BinarySearchFunc(m.entries, position, func(e numbered, n int) int { return e.n - n })
		if from = at + 1; !found {
			from = at
		}
		if err != nil || !found && position != m.truncatedAt {
			return nil, "", nil, ErrTruncated
		}
	}
	if m.newEntries == nil {
		m.newEntries = make(chan struct{})
	}
	for _, e := range m.entries[from:] {
		revs, position = append(revs, e.rev), e.n
	}
	return revs, strconv.Itoa(position), m.newEntries, nil
}

// Truncate removes the oldest n entries, as a log does when their retention ends.
func (m *Memory) Truncate(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n = min(n, len(m.entries)); n > 0 {
		m.truncatedAt = m.entries[n-1].n
		m.entries = slices.Clone(m.entries[n:])
	}
}

// Lose removes the newest n entries, or all entries if n is negative, as a restore from an
// older copy does. Reads that wait detect the loss.
func (m *Memory) Lose(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n < 0 || n > len(m.entries) {
		n = len(m.entries)
	}
	m.entries = slices.Clone(m.entries[:len(m.entries)-n])
	if m.newEntries != nil {
		close(m.newEntries)
		m.newEntries = nil
	}
}
