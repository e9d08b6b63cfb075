package oauthz

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Query selects revocations of a list. The zero value selects all of them.
type Query struct {
	_ struct{}

	// Match holds claims that the revocation must name, with these values: as in
	// [Revocation.Match], but that iss is not required.
	Match map[string]any
	// The ranges are from (inclusive) to (exclusive) a time; zero: no bound. A
	// revocation that is kept for ever expires, and one of all tokens whenever
	// issued has its IssuedUntil, after every time.
	ExpiresFrom, ExpiresTo time.Time // of Revocation.Expires
	IssuedFrom, IssuedTo   time.Time // of Revocation.IssuedUntil
	RevokedFrom, RevokedTo time.Time // of Revocation.At
	// Limit is how many to return at most, the oldest first. Zero: all.
	Limit int
}

// selection is a Query that has been checked.
type selection struct {
	Query
	match map[string]matchValue
}

func (q Query) selection() (*selection, error) {
	s := &selection{Query: q, match: make(map[string]matchValue, len(q.Match))}
	var errs []error
	for name, v := range q.Match {
		value, err := matchValueOf(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("oauthz: query: match %q: %w", name, err))
		}
		s.match[name] = value
	}
	if q.Limit < 0 {
		errs = append(errs, errors.New("oauthz: query: Limit is negative"))
	}
	return s, errors.Join(errs...)
}

// has says whether the selection has r.
func (s *selection) has(x *index, r record) bool {
	id, issuer, rest := r.header()
	named := 0
	if want, ok := s.match["iss"]; ok {
		if want != (matchValue{kindString, x.issuer(issuer)}) {
			return false
		}
		named++
	}
	for _, name := range x.shape(id).names {
		want, ok := s.match[name]
		text, next := readText(rest[1:])
		if ok {
			if rest[0] != want.kind || string(text) != want.text {
				return false
			}
			named++
		}
		rest = next
	}
	t, _ := readTerm(rest)
	return named == len(s.match) && s.inTime(t)
}

func (s *selection) inTime(t term) bool {
	return between(t.expires, s.ExpiresFrom, s.ExpiresTo) &&
		between(t.issuedUntil, s.IssuedFrom, s.IssuedTo) &&
		!t.at.Before(s.RevokedFrom) && (s.RevokedTo.IsZero() || t.at.Before(s.RevokedTo))
}

// between says whether at, of which zero is after every time, is in a range.
func between(at, from, to time.Time) bool {
	if at.IsZero() {
		return to.IsZero()
	}
	return !at.Before(from) && (to.IsZero() || at.Before(to))
}

// All returns the revocations that q selects, without those that are over. What
// is added while it runs may be missing, and so may what that takes the place of.
func (r *Revocations) All(q Query) (iter.Seq[Revocation], error) {
	s, err := q.selection()
	if err != nil {
		return nil, err
	}
	return func(yield func(Revocation) bool) {
		x := r.index.Load()
		if x == nil {
			return
		}
		left := s.Limit
		for _, rec := range x.held(r.now()) {
			if !s.has(x, rec) {
				continue
			}
			if !yield(x.revocation(rec)) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}, nil
}
