package revlog

import (
	"context"
	"fmt"
	"maps"

	"github.com/oauthz/oauthz"
)

// maxUnread bounds what a list remembers of its own entries until it reads them.
const maxUnread = 1 << 16

// writes is what a list knows of the entries that it appends itself.
type writes struct {
	running map[uint64]chan struct{} // closed when the Append of the entry has ended
	unread  map[uint64]unread        // entries that it has not read since it appended them
	looks   int                      // how many Reads have begun
}

// unread is an entry that the list appended, or is about to.
type unread struct {
	rev   oauthz.Revocation
	mark  mark
	acked bool
	looks int // how many Reads had begun when it was acknowledged
}

// Revoke writes revs to the log, and returns when they are durable there and
// apply here. The other instances follow. A zero At becomes the time of the
// call. After an error the log may have them all the same: revoke again.
//
// An entry is not written if the log has one with the same Match that revokes all
// tokens that the new one would, for as long, whatever its Reason and At. So a client
// that revokes one token many times makes the log no longer.
func (l *List) Revoke(ctx context.Context, revs ...oauthz.Revocation) error {
	if l.ended.Load() {
		return ErrClosed
	}
	stamped := make([]oauthz.Revocation, len(revs))
	for i, rev := range revs {
		if err := rev.Check(); err != nil {
			return fmt.Errorf("revlog: entry %d: %w", i, err)
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
	fresh, end, err := l.begin(ctx, stamped)
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
	err = l.held.Revoke(ctx, fresh...)
	acked = err == nil
	return err
}

// begin returns those of revs that are not in the log, when no other Revoke is
// about to write one of them, and what to call when their Append has ended.
func (l *List) begin(ctx context.Context, revs []oauthz.Revocation) (fresh []oauthz.Revocation, end func(acked bool), err error) {
	for {
		fresh = l.uncovered(revs)
		marks := marksOf(l.seed, fresh)
		own := make(chan struct{})
		running := l.start(fresh, marks, own)
		if running == nil {
			return fresh, func(acked bool) { l.finish(marks, own, acked) }, nil
		}
		select {
		case <-running:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// uncovered returns those of revs that the list does not hold. It is all of them
// while the log may lack what the list holds.
func (l *List) uncovered(revs []oauthz.Revocation) (fresh []oauthz.Revocation) {
	if l.doubts.Load() || l.Health() != nil {
		return revs
	}
	for _, rev := range revs {
		if !l.held.Covers(rev) {
			fresh = append(fresh, rev)
		}
	}
	return fresh
}

// start notes that entries are about to be appended, until own is closed, and
// returns nil. If one of them already is, start returns what is closed then.
func (l *List) start(revs []oauthz.Revocation, marks []mark, own chan struct{}) (running <-chan struct{}) {
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
			rev.Match = maps.Clone(rev.Match) // the caller's may change
			l.writes.unread[m.entry] = unread{rev: rev, mark: m}
		}
	}
	return nil
}

// finish notes that the Append of entries has ended.
func (l *List) finish(marks []mark, own chan struct{}, acked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range marks {
		delete(l.writes.running, m.entry)
		if u, ok := l.writes.unread[m.entry]; ok && acked {
			l.writes.unread[m.entry] = unread{u.rev, m, true, l.writes.looks}
		} else {
			delete(l.writes.unread, m.entry)
		}
	}
	close(own)
}

// look notes that a Read begins, and returns its number.
func (l *List) look() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes.looks++
	return l.writes.looks
}

// found notes that entries were read.
func (l *List) found(marks []mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.writes.unread) == 0 {
		return
	}
	for _, m := range marks {
		delete(l.writes.unread, m.entry)
	}
}

// overdue returns the entries that the list appended and had acknowledged before
// the Read with a number began, if they were not read when the list has everything.
func (l *List) overdue(look int) (marks []mark, revs []oauthz.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for entry, u := range l.writes.unread {
		if u.acked && u.looks < look {
			marks, revs = append(marks, u.mark), append(revs, u.rev)
			delete(l.writes.unread, entry)
		}
	}
	return marks, revs
}
