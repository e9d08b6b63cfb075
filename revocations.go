package oauthz

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/oauthz/oauthz/internal/settled"
)

// Revocations is a list in memory, which is a [RevocationList] and a [Revoker].
// The zero value is ready; it is safe for concurrent use and starts no
// goroutine.
//
// An entry is ignored from [MaxLeeway] after it expires, and discarded by later
// calls of Revoke. It is discarded only once every reading of the clock in those
// calls has agreed with that for MaxLeeway of monotonic time: a wall clock that is
// ahead for a moment costs no entry.
//
// Of one Match the list holds at most 64 entries that have an IssuedUntil and of
// which none covers another. If another is added, it and the one whose IssuedUntil
// is the closest become one entry, with the later IssuedUntil and the later Expires
// of the two. So a token that was issued between these two times may be refused
// until the later Expires, although neither entry asked for that. Each token that
// an entry refuses stays refused for as long.
//
// Revoked costs one look-up for each shape of match that is in use (iss and jti,
// iss and sub, …), waits for no lock and does not allocate, if the claims are
// strings, bools or integers. Claims that are arrays cost a look-up for each of
// their elements or combinations, but never more than a quick look at each entry of
// the shape. An entry takes about 100 bytes.
type Revocations struct {
	// Now is the clock; default time.Now. Set it before the first use.
	Now func() time.Time

	mu      sync.Mutex // of Revoke
	index   atomic.Pointer[index]
	settled settled.Clock
}

// Revoke adds revs. If one of them cannot be taken, none is. What the list has
// already is not added twice, and of two that differ only in that one revokes
// more, that one is kept.
func (r *Revocations) Revoke(_ context.Context, revs ...Revocation) error {
	matchers := make([]matcher, len(revs))
	size := int64(0)
	for i := range revs {
		var err error
		if matchers[i], err = revs[i].matcher(); err != nil {
			return fmt.Errorf("oauthz: revocation %d: %w", i, err)
		}
		size += int64(matchers[i].size(revs[i].Reason))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sure := r.settled.Observe(r.now(), MaxLeeway)
	old := r.index.Load()
	if old == nil {
		old = newIndex(maphash.MakeSeed(), len(revs))
	}
	x := old.withRoom(len(revs), size, sure)
	if x == nil {
		return errors.New("oauthz: revocations: the list is full")
	}
	r.index.Store(x)
	for i, rev := range revs {
		if t := rev.term(); !t.over(sure) {
			x.add(&matchers[i], t, rev.Reason, sure)
		}
	}
	return nil
}

// matcher is what rev matches by, if the list can take it.
func (rev *Revocation) matcher() (matcher, error) {
	m, err := newMatcher(rev.Match)
	if err != nil {
		return m, err
	}
	if !utf8.ValidString(rev.Reason) {
		return m, fmt.Errorf("reason: %w", errNotUTF8)
	}
	if m.size(rev.Reason) > maxRecordBytes {
		return m, fmt.Errorf("longer than %d bytes", maxRecordBytes)
	}
	for _, t := range []time.Time{rev.IssuedUntil, rev.Expires, rev.At} {
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			return m, errYear
		}
	}
	return m, nil
}

// errYear: what no other instance could be sent, and what would keep a list that
// holds it from being shown.
var errYear = errors.New("a time whose year in UTC is not 0 to 9999; zero is for ever")

func (rev *Revocation) term() term {
	return term{issuedUntil: rev.IssuedUntil, expires: rev.Expires, at: rev.At}
}

// Revoked says whether an entry matches t. It never fails.
func (r *Revocations) Revoked(_ context.Context, t *Token) (bool, error) {
	x := r.index.Load()
	return x != nil && x.revoked(t, r.now), nil // the clock is asked only for what is found
}

// Covers reports whether an entry that was added with the same Match revokes every
// token that rev would revoke, and for as long: whether to add rev would change
// nothing. It ignores Reason and At, entries that differ in Match, and those that
// became one with others: a log may have none that covers as much.
func (r *Revocations) Covers(rev Revocation) bool {
	m, err := rev.matcher()
	if err != nil {
		return false
	}
	r.mu.Lock() // for the numbers of the shapes, which are the writer's
	defer r.mu.Unlock()
	x := r.index.Load()
	if x == nil {
		return false
	}
	id, known := x.shapeIDs[joined(m.names)]
	if !known {
		return false
	}
	hash, t := x.hash(x.shape(id), maphash.String(x.seed, m.issuer), m.values), rev.term()
	return slices.ContainsFunc(x.entries(hash, &key{id, m.issuer, m.values}, time.Time{}), func(e entry) bool {
		return e.term.covers(t) && !e.term.combined
	})
}

// NeverWaits is for the [Guard]: asking needs no timer.
func (*Revocations) NeverWaits() {}

func (r *Revocations) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
