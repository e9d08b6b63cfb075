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

// ErrLost is reported, and returned by [List.Health], when entries that the log
// acknowledged are missing from it: it was emptied, restored from an older copy, or
// failed over to a replica that was behind. The list holds them, goes on to refuse
// their tokens, and appends them to the log again; Health returns ErrLost until
// they are there. Until then a list that is opened does not know them.
var ErrLost = errors.New("revlog: entries that the log acknowledged are missing from it")

func lost(n int) error { return fmt.Errorf("%w: %d", ErrLost, n) }

// audit finds out which entries are missing from a log. It is given those that may
// be, and then those that were read again.
type audit struct {
	all      bool                         // any entry may be missing
	suspects map[uint64]uint64            // the keys of entries that may be, and were not read since
	known    map[uint64]oauthz.Revocation // those of the suspects that are remembered
	seen     map[uint64]bool              // entries that were read since
}

func (a *audit) running() bool { return a.seen != nil }

// suspect adds entries that were read from a part of the log that may be gone.
// Entries holds the last of them.
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

func (a *audit) sees(marks []mark) {
	if !a.running() {
		return
	}
	for _, m := range marks {
		a.seen[m.entry] = true
		delete(a.suspects, m.entry)
		delete(a.known, m.entry)
	}
}

// missing ends the audit, when all that the log has was read, and returns the
// entries that were suspected and not seen.
func (a *audit) missing(held *oauthz.Revocations, seed maphash.Seed, now time.Time) map[uint64]oauthz.Revocation {
	var missing oauthz.Revocations // so that what another entry covers is left out
	for entry, rev := range a.known {
		delete(a.suspects, entry)
		_ = missing.Revoke(context.Background(), rev) // held has taken it, and is larger
	}
	for rev := range a.heldSuspects(held, seed) {
		_ = missing.Revoke(context.Background(), rev)
	}
	*a = audit{}
	out := map[uint64]oauthz.Revocation{}
	for rev := range all(&missing) {
		if !ends(rev, now) {
			out[markOf(seed, rev).entry] = rev
		}
	}
	return out
}

// heldSuspects goes through what is held for the suspects that are not known. They
// are looked for by key, for what covers one may be held instead of it.
func (a *audit) heldSuspects(held *oauthz.Revocations, seed maphash.Seed) iter.Seq[oauthz.Revocation] {
	keys := make(map[uint64]bool, len(a.suspects))
	for _, key := range a.suspects {
		keys[key] = true
	}
	return func(yield func(oauthz.Revocation) bool) {
		if !a.all && len(keys) == 0 {
			return
		}
		for rev := range all(held) {
			if m := markOf(seed, rev); (a.all || keys[m.key]) && !a.seen[m.entry] && !yield(rev) {
				return
			}
		}
	}
}

func all(list *oauthz.Revocations) iter.Seq[oauthz.Revocation] {
	entries, err := list.All(oauthz.Query{})
	if err != nil { // never, for a query without conditions
		return func(func(oauthz.Revocation) bool) {}
	}
	return entries
}
