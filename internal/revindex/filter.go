package revindex

import (
	"iter"
	"time"
)

// Filter selects entries. The zero value selects all of them.
type Filter struct {
	Match                    map[string]Value // claims that the key must have; iss is the issuer
	Expires, IssuedUntil, At Range            // in the first two, a zero time of an entry is after every time
}

// Range is from a time (inclusive) to another (exclusive); zero: no bound.
type Range struct{ From, To time.Time }

// Select returns the entries that f selects, in the order in which they were added,
// without those that have expired at now. Of entries that are added or replaced
// during the iteration, some may be missing.
func (x *Index) Select(f *Filter, now time.Time) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for r := range x.live(now) {
			if f.selects(x, r) && !yield(x.entry(r)) {
				return
			}
		}
	}
}

// selects reports whether f selects r.
func (f *Filter) selects(x *Index, r record) bool {
	id, issuer, rest := r.header()
	matched := 0
	if want, ok := f.Match["iss"]; ok {
		if want != (Value{kindString, x.issuer(issuer)}) {
			return false
		}
		matched++
	}
	for _, name := range x.shape(id).names {
		want, ok := f.Match[name]
		text, next := readText(rest[1:])
		if ok {
			if rest[0] != want.kind || string(text) != want.text {
				return false
			}
			matched++
		}
		rest = next
	}
	t, _ := readTerm(rest)
	return matched == len(f.Match) && f.selectsTerm(&t)
}

func (f *Filter) selectsTerm(t *Term) bool {
	return f.Expires.contains(t.Expires) && f.IssuedUntil.contains(t.IssuedUntil) &&
		!t.At.Before(f.At.From) && (f.At.To.IsZero() || t.At.Before(f.At.To))
}

// contains reports whether at, of which zero is after every time, is in the range.
func (r Range) contains(at time.Time) bool {
	if at.IsZero() {
		return r.To.IsZero()
	}
	return !at.Before(r.From) && (r.To.IsZero() || at.Before(r.To))
}
