package revlog

import (
	"context"
	"fmt"
	"maps"

	"github.com/oauthz/oauthz"
)

// maxUnread is the most entries of its own that a list remembers until it reads them.
const maxUnread = 1 << 16

// writes records the entries that the list appends itself.
type writes struct {
	running map[uint64]chan struct{} // by entry, closed when its Append has ended
	unread  map[uint64]unread        // entries that the list has appended and not read since
	reads   int                      // how many Reads have begun
}

// unread is an entry that the list has appended, or is about to append.
type unread struct {
	rev   oauthz.Revocation
	mark  mark
	acked bool
	reads int // how many Reads had begun when it was acknowledged
}

// Revoke writes revs to the log. It returns nil when they are durable in the log and apply to
// this list; the other instances apply them soon after that. If At is zero, Revoke sets it to
// the time of the call. After an error the log may nevertheless have the entries: call Revoke
// again.
//
// Revoke does not write an entry if the log has one with the same Match that revokes all tokens
// that the new one would, for at least as long, whatever its Reason and At. A client that
// revokes one token many times therefore does not make the log longer.
func (l *List) Revoke(ctx context.Context, revs ...oauthz.Revocation) error {
	if l.ended.Load() {
		return ErrClosed
	}
	stamped := make([]oauthz.Revocation, len(revs))
	for i, rev := range revs {
		if err := rev.Check(); err != nil {
			return fmt.Errorf("revlog: revoke: entry %d: %w", i, err)
		}
		if rev.At.IsZero() {
			rev.At = l.cfg.Now().UTC().Round(0)
		}
		stamped[i] = rev
	}
	if len(revs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	fresh, end, err := l.reserve(ctx, stamped)
	if err != nil {
		return fmt.Errorf("revlog: append: %w", err)
	}
	acked := false
	defer func() { end(acked) }()
	if len(fresh) == 0 {
		return nil
	}
	if err := l.log.Append(ctx, fresh...); err != nil {
		return fmt.Errorf("revlog: append: %w", err)
	}
	err = l.revocations.Revoke(ctx, fresh...)
	acked = err == nil
	return err
}

// reserve returns those of revs that the log does not have. It waits until no other Revoke is
// about to write one of them. The caller must call end when the Append of these entries has
// ended.
func (l *List) reserve(ctx context.Context, revs []oauthz.Revocation) (fresh []oauthz.Revocation, end func(acked bool), err error) {
	for {
		fresh = l.uncovered(revs)
		marks := marksOf(l.seed, fresh)
		own := make(chan struct{})
		running := l.tryReserve(fresh, marks, own)
		if running == nil {
			return fresh, func(acked bool) { l.release(marks, own, acked) }, nil
		}
		select {
		case <-running:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// uncovered returns those of revs that the list does not hold. It returns all of them while the
// log may lack entries that the list holds.
func (l *List) uncovered(revs []oauthz.Revocation) (fresh []oauthz.Revocation) {
	if l.maybeIncomplete.Load() || l.Health() != nil {
		return revs
	}
	for _, rev := range revs {
		if !l.revocations.Covers(rev) {
			fresh = append(fresh, rev)
		}
	}
	return fresh
}

// tryReserve records that entries are about to be appended, until own is closed, and returns
// nil. If another Revoke has recorded one of them, tryReserve records nothing and returns the
// channel that is closed when that Revoke has ended.
func (l *List) tryReserve(revs []oauthz.Revocation, marks []mark, own chan struct{}) (running <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range marks {
		if other, ok := l.writes.running[m.entry]; ok {
			return other
		}
	}
	for i, m := range marks {
		l.writes.running[m.entry] = own
		if len(l.writes.unread) < maxUnread {
			rev := revs[i]
			rev.Match = maps.Clone(rev.Match) // the caller may change it
			l.writes.unread[m.entry] = unread{rev: rev, mark: m}
		}
	}
	return nil
}

// release records that the Append of entries has ended.
func (l *List) release(marks []mark, own chan struct{}, acked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range marks {
		delete(l.writes.running, m.entry)
		if u, ok := l.writes.unread[m.entry]; ok && acked {
			l.writes.unread[m.entry] = unread{u.rev, m, true, l.writes.reads}
		} else {
			delete(l.writes.unread, m.entry)
		}
	}
	close(own)
}

// beginRead records that a Read begins, and returns the number of that Read.
func (l *List) beginRead() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes.reads++
	return l.writes.reads
}

// noteRead records that entries were read.
func (l *List) noteRead(marks []mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.writes.unread) == 0 {
		return
	}
	for _, m := range marks {
		delete(l.writes.unread, m.entry)
	}
}

// overdue returns the entries of this list that the log acknowledged before the Read with a
// number began, and that were not read although the list has everything.
func (l *List) overdue(number int) (marks []mark, revs []oauthz.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for entry, u := range l.writes.unread {
		if u.acked && u.reads < number {
			marks, revs = append(marks, u.mark), append(revs, u.rev)
			delete(l.writes.unread, entry)
		}
	}
	return marks, revs
}
