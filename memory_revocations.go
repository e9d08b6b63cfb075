package oauthz

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oauthz/oauthz/internal/revindex"
	"github.com/oauthz/oauthz/internal/settled"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// MemoryRevocations is a list in memory, which is a [RevocationList] and a [Revoker].
// The zero value is ready; it is safe for concurrent use and starts no
// goroutine.
//
// An entry is ignored from [MaxLeeway] after it expires, and discarded by later
// calls of Revoke. It is discarded only after every reading of the clock in those
// calls has agreed with that for MaxLeeway of monotonic time: a wall clock that is
// ahead for a moment costs no entry.
//
// Of one Match the list holds at most 64 entries that have an IssuedUntil and of
// which none covers another. If another is added, it and the entry whose IssuedUntil
// is the closest become one entry, with the later IssuedUntil and the later Expires
// of the two. So a token that was issued between these two times may be refused
// until the later Expires, although neither entry required that. Each token that an
// entry refuses stays refused for as long.
//
// Revoked costs one look-up for each set of names in use (iss and jti, iss and sub,
// …), waits for no lock and does not allocate, if the claims are strings, bools or
// integers. Claims that are arrays cost a look-up for each of their elements or
// combinations, but never more than a quick look at each entry with these names. An
// entry takes about 100 bytes.
type MemoryRevocations struct {
	// Now is the clock; default time.Now. Set it before the first use.
	Now func() time.Time

	mu      sync.Mutex // held by the writer of index
	index   atomic.Pointer[revindex.Index]
	settled settled.Clock
}

// Revoke adds revs. If one of them is not valid, Revoke adds none and returns an
// error: see [Revocation.Check]. An entry that another one covers is not added or is
// replaced: of two that differ only in the tokens or the time that they cover, the
// list keeps the one that revokes more.
func (r *MemoryRevocations) Revoke(_ context.Context, revs ...Revocation) error {
	entries := make([]revindex.Entry, len(revs))
	size := int64(0)
	for i := range revs {
		var err error
		if entries[i], err = revs[i].entry(); err != nil {
			return fmt.Errorf("oauthz: revocation %d: %w", i, err)
		}
		size += int64(entries[i].Size())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	settled := r.settled.Observe(r.now(), MaxLeeway)
	index := r.index.Load()
	if index == nil {
		index = revindex.New(MaxLeeway, len(revs))
	}
	if index = index.WithRoom(len(revs), size, settled); index == nil {
		return errors.New("oauthz: revocations: the list is full")
	}
	r.index.Store(index)
	for _, e := range entries {
		index.Add(e, settled)
	}
	return nil
}

// Revoked reports whether an entry matches t. The error is always nil.
func (r *MemoryRevocations) Revoked(_ context.Context, t *Token) (bool, error) {
	index := r.index.Load()
	if index == nil {
		return false, nil
	}
	token := revindex.Token{Issuer: t.Issuer, IssuedAt: t.IssuedAt, Claims: (*claimValues)(t)}
	return index.Revokes(&token, r.now), nil
}

// Covers reports whether an entry that was added with the same Match revokes every
// token that rev would revoke, for as long: whether adding rev would change nothing.
// It ignores Reason and At, entries that differ in Match, and entries that the list
// made of several: a log may have no entry that covers as much.
func (r *MemoryRevocations) Covers(rev Revocation) bool {
	e, err := rev.entry()
	if err != nil {
		return false
	}
	r.mu.Lock() // Covers reads fields of the index that only its writer may read
	defer r.mu.Unlock()
	index := r.index.Load()
	return index != nil && index.Covers(&e.Key, &e.Term)
}

// NeverWaits is for the [Guard], which then calls Revoked without a timer.
func (*MemoryRevocations) NeverWaits() {}

func (r *MemoryRevocations) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// claimValues are the claims of a Token, for the index.
type claimValues Token

// Values returns the values that a revocation can match a claim by: of an array, all
// of its elements, the first one apart. A claim of one value costs no allocation.
func (c *claimValues) Values(name string) (first revindex.Value, more []revindex.Value, ok bool) {
	t := (*Token)(c)
	if text, standard := t.textClaim(name); standard {
		return revindex.String(text), nil, text != ""
	}
	if name == "aud" && len(t.Audience) == 1 {
		return revindex.String(t.Audience[0]), nil, true
	}
	value, ok := t.claim(name)
	if !ok {
		return first, nil, false
	}
	if value[0] != '[' {
		first, ok = revindex.ParseValue(value)
		return first, nil, ok
	}
	elements, _ := strictjson.Array(value) // ParseToken has checked it
	for _, e := range elements {
		if v, ok := revindex.ParseValue(e); ok {
			more = append(more, v)
		}
	}
	if len(more) == 0 {
		return first, nil, false
	}
	return more[0], more[1:], true
}

// Query selects revocations of a list. The zero value selects all of them.
type Query struct {
	_ struct{}

	// Match holds claims that the Match of the revocation must have, with these
	// values. It is like [Revocation.Match], but iss is not required.
	Match map[string]any
	// The ranges are from a time (inclusive) to another (exclusive); zero: no bound.
	// A zero Expires or IssuedUntil of a revocation is after every time.
	ExpiresFrom, ExpiresTo time.Time // of Revocation.Expires
	IssuedFrom, IssuedTo   time.Time // of Revocation.IssuedUntil
	RevokedFrom, RevokedTo time.Time // of Revocation.At
	// Limit is the most revocations to return, the oldest first. Zero: all.
	Limit int
}

// filter returns q as a filter of the index, or an error that joins all mistakes in q.
func (q *Query) filter() (*revindex.Filter, error) {
	f := &revindex.Filter{
		Match:       make(map[string]revindex.Value, len(q.Match)),
		Expires:     revindex.Range{From: q.ExpiresFrom, To: q.ExpiresTo},
		IssuedUntil: revindex.Range{From: q.IssuedFrom, To: q.IssuedTo},
		At:          revindex.Range{From: q.RevokedFrom, To: q.RevokedTo},
	}
	var errs []error
	for name, v := range q.Match {
		value, err := revindex.ValueOf(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("oauthz: query: match %q: %w", name, err))
		}
		f.Match[name] = value
	}
	if q.Limit < 0 {
		errs = append(errs, errors.New("oauthz: query: Limit is negative"))
	}
	return f, errors.Join(errs...)
}

// All returns the revocations that q selects, without those that have expired. Of
// revocations that are added or replaced during the iteration, some may be missing.
func (r *MemoryRevocations) All(q Query) (iter.Seq[Revocation], error) {
	filter, err := q.filter()
	if err != nil {
		return nil, err
	}
	return func(yield func(Revocation) bool) {
		index := r.index.Load()
		if index == nil {
			return
		}
		left := q.Limit
		for e := range index.Select(filter, r.now()) {
			if !yield(revocationOf(&e)) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}, nil
}

func revocationOf(e *revindex.Entry) Revocation {
	match := map[string]any{"iss": e.Issuer}
	for i, name := range e.Names {
		match[name] = e.Values[i].Any()
	}
	return Revocation{Match: match, IssuedUntil: e.IssuedUntil, Expires: e.Expires, At: e.At, Reason: e.Reason}
}
