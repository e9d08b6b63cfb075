package revlog

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"time"

	"github.com/oauthz/oauthz"
)

// ErrLost is passed to [Config.Report] and returned by [List.Health] when entries that the log
// acknowledged are missing from it: the log was emptied, restored from an older copy, or failed
// over to a replica that was behind. The list still has these entries, continues to refuse
// their tokens, and appends them to the log again. Health returns ErrLost until the log has
// them again. A list that is opened before that does not know them.
var ErrLost = errors.New("revlog: entries that the log acknowledged are missing from it")

func lostError(n int) error { return fmt.Errorf("%w: %d", ErrLost, n) }

// audit finds out which entries are missing from a log. It first receives the entries that may
// be missing, and then the entries that are read again.
type audit struct {
	all      bool                         // any entry may be missing
	suspects map[uint64]uint64            // by entry, the keys of entries that may be missing and were not read again
	known    map[uint64]oauthz.Revocation // those suspects whose revocation is remembered
	seen     map[uint64]bool              // entries that were read since the audit began
}

func (a *audit) running() bool { return a.seen != nil }

// suspect adds entries that were read from a part of the log that may be gone. marks are the
// marks of all of them; entries holds only the newest ones.
func (a *audit) suspect(marks []mark, entries []oauthz.Revocation) {
	if a.all || len(marks) == 0 {
		return
	}
	if !a.running() {
		*a = audit{suspects: map[uint64]uint64{}, known: map[uint64]oauthz.Revocation{}, seen: map[uint64]bool{}}
	}
	older := len(marks) - len(entries)
	for i, m := range marks {
		a.suspects[m.entry] = m.key
		if i >= older {
			a.known[m.entry] = entries[i-older]
		}
		delete(a.seen, m.entry)
	}
}

func (a *audit) suspectAll() { *a = audit{all: true, seen: map[uint64]bool{}} }

func (a *audit) noteRead(marks []mark) {
	if !a.running() {
		return
	}
	for _, m := range marks {
		a.seen[m.entry] = true
		delete(a.suspects, m.entry)
		delete(a.known, m.entry)
	}
}

// missing ends the audit. It must be called when the whole log was read. It returns the entries
// that were suspected and were not read again.
func (a *audit) missing(list *oauthz.MemoryRevocations, seed maphash.Seed, now time.Time) map[uint64]oauthz.Revocation {
	var missing oauthz.MemoryRevocations // it leaves out entries that another entry covers
	for entry, rev := range a.known {
		delete(a.suspects, entry)
		_ = missing.Revoke(context.Background(), rev) // list has accepted the same entry, and is larger
	}
	for rev := range a.suspectsIn(list, seed) {
		_ = missing.Revoke(context.Background(), rev)
	}
	*a = audit{}
	out := map[uint64]oauthz.Revocation{}
	for rev := range allEntries(&missing) {
		if !expiresSoon(rev, now) {
			out[markOf(seed, rev).entry] = rev
		}
	}
	return out
}

// suspectsIn returns the entries of list that are suspected and not known. It searches by key,
// because list may hold an entry that covers the suspected one instead of the suspected one.
func (a *audit) suspectsIn(list *oauthz.MemoryRevocations, seed maphash.Seed) iter.Seq[oauthz.Revocation] {
	keys := make(map[uint64]bool, len(a.suspects))
	for _, key := range a.suspects {
		keys[key] = true
	}
	return func(yield func(oauthz.Revocation) bool) {
		if !a.all && len(keys) == 0 {
			return
		}
		for rev := range allEntries(list) {
			if m := markOf(seed, rev); (a.all || keys[m.key]) && !a.seen[m.entry] && !yield(rev) {
				return
			}
		}
	}
}

func allEntries(list *oauthz.MemoryRevocations) iter.Seq[oauthz.Revocation] {
	entries, err := list.All(oauthz.Query{})
	if err != nil { // a query without conditions never fails
		return func(func(oauthz.Revocation) bool) {}
	}
	return entries
}
