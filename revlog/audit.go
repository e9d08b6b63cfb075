package revlog

import (
	"errors"
	"fmt"
	"hash/maphash"
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

// audit finds out which entries are missing from a log. It is told which of them
// may be, and then which were read again.
type audit struct {
	suspects map[uint64]bool // keys of entries that may be missing
	all      bool            // any entry may be
	seen     map[uint64]bool // entries that were read since
}

func (a *audit) running() bool { return a.all || len(a.suspects) > 0 }

// suspect adds entries that were read from a part of the log that may be gone.
func (a *audit) suspect(marks []mark) {
	if a.all || len(marks) == 0 {
		return
	}
	if a.suspects == nil {
		a.suspects, a.seen = make(map[uint64]bool, len(marks)), map[uint64]bool{}
	}
	for _, m := range marks {
		a.suspects[m.key] = true
		delete(a.seen, m.entry)
	}
}

func (a *audit) suspectAll() { *a = audit{all: true, seen: map[uint64]bool{}} }

func (a *audit) sees(marks []mark) {
	if a.running() {
		for _, m := range marks {
			a.seen[m.entry] = true
		}
	}
}

// missing ends the audit, when all that the log has was read, and returns the
// entries of held that were suspected and not seen.
func (a *audit) missing(held *oauthz.Revocations, seed maphash.Seed, now time.Time) map[uint64]oauthz.Revocation {
	defer func() { *a = audit{} }()
	missing := map[uint64]oauthz.Revocation{}
	if !a.running() {
		return missing
	}
	entries, err := held.All(oauthz.Query{})
	if err != nil { // never, for a query without conditions
		return missing
	}
	for rev := range entries {
		m := markOf(seed, rev)
		if (a.all || a.suspects[m.key]) && !a.seen[m.entry] && !ends(rev, now) {
			missing[m.entry] = rev
		}
	}
	return missing
}
