package revlog

import (
	"slices"

	"github.com/oauthz/oauthz"
)

// trail is the way that a list came to where it is in its log: older positions, to
// go on from when the newest is gone, and the marks of what it read since them.
type trail struct {
	stops   []stop              // the last is the position
	marks   []mark              // of the last entries that were read
	entries []oauthz.Revocation // the last of these
	read    int                 // how many entries were read up to the position
}

// stop is a position, and how many entries were read up to it.
type stop struct {
	position string
	read     int
}

const (
	maxMarks   = 1 << 15 // of 16 bytes; after a greater loss everything is read again
	maxEntries = 1 << 9  // after a greater loss all that is held is gone through
	maxStops   = 64
	nearStops  = 8 // the newest, which are all kept
)

// position returns where the list is; "" is the beginning.
func (t *trail) position() string {
	if len(t.stops) == 0 {
		return ""
	}
	return t.stops[len(t.stops)-1].position
}

// advance goes on to a position up to which entries, with marks, were read.
func (t *trail) advance(position string, entries []oauthz.Revocation, marks []mark) {
	if len(marks) == 0 && len(t.stops) > 0 {
		t.stops[len(t.stops)-1].position = position
		return
	}
	t.read += len(marks)
	t.marks = appendNewest(t.marks, marks, maxMarks)
	t.entries = appendNewest(t.entries, entries, maxEntries)
	t.stops = append(t.stops, stop{position, t.read})
	if len(t.stops) > maxStops {
		t.stops = thinned(t.stops, t.read, len(t.marks))
	}
}

// thinned returns the newest of stops and, of the others whose marks are known, the
// furthest, and so many between them that each is at most twice as far back as the
// one after it: so few are kept, and to go back to one of them is to read again no
// more than was lost.
func thinned(stops []stop, read, marks int) []stop {
	oldest := slices.IndexFunc(stops, func(s stop) bool { return read-s.read <= marks })
	stops = stops[max(oldest, 0):]
	var kept []stop
	for i, s := range slices.Backward(stops) {
		near := len(stops)-i <= nearStops
		if near || i == 0 || read-stops[i-1].read > 2*(read-kept[len(kept)-1].read) {
			kept = append(kept, s)
		}
	}
	slices.Reverse(kept)
	return kept
}

// rewind goes back to the stop before the last, and returns the marks of what was
// read since, and the last of these entries. It goes back to the beginning, and
// returns false, if there is no such stop or if the marks are not known any more.
func (t *trail) rewind() (marks []mark, entries []oauthz.Revocation, ok bool) {
	if n := len(t.stops) - 1; n > 0 {
		back := t.read - t.stops[n-1].read
		if known := len(t.marks) - back; known >= 0 {
			older := max(len(t.entries)-back, 0)
			marks, entries = t.marks[known:], t.entries[older:]
			t.stops, t.marks, t.entries, t.read = t.stops[:n:n], t.marks[:known:known], t.entries[:older:older], t.read-back
			return marks, entries, true
		}
	}
	*t = trail{}
	return nil, nil, false
}

// appendNewest appends to list and keeps the newest, at least most of them.
func appendNewest[T any](list, more []T, most int) []T {
	list = append(list, more[max(len(more)-2*most, 0):]...)
	if len(list) > 2*most {
		list = slices.Clone(list[len(list)-most:])
	}
	return list
}
