package revlog

import (
	"slices"

	"github.com/oauthz/oauthz"
)

// trail remembers how a list came to its position in the log: older positions, from which it
// can continue if the newest entry is gone, and the marks of the entries that it has read since
// them.
type trail struct {
	stops   []stop              // the last one is the current position
	marks   []mark              // the marks of the newest entries that were read
	entries []oauthz.Revocation // the newest of these entries
	read    int                 // how many entries were read up to the current position
}

// stop is a position, and how many entries were read up to it.
type stop struct {
	position string
	read     int
}

const (
	maxMarks   = 1 << 15 // of 16 bytes each; after a greater loss the whole log is read again
	maxEntries = 1 << 9  // after a greater loss the list searches all of its entries
	maxStops   = 64
	nearStops  = 8 // how many of the newest stops are always kept
)

// position returns the current position of the list; "" is the beginning.
func (t *trail) position() string {
	if len(t.stops) == 0 {
		return ""
	}
	return t.stops[len(t.stops)-1].position
}

// advance moves to a position. entries, with their marks, are those that were read since the
// last one.
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
		t.stops = thin(t.stops, t.read, len(t.marks))
	}
}

// thin returns the newest of stops and some of the older stops whose marks are known: the
// oldest one, and between them so many that each is at most twice as far back as the stop after
// it. Few stops are therefore kept, and a list that goes back to one of them reads again no
// more entries than were lost.
func thin(stops []stop, read, marks int) []stop {
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

// rewind goes back to the stop before the last one. It returns the marks of all entries that
// were read since that stop, and the newest of these entries. If there is no such stop, or if
// the marks are not known any more, rewind goes back to the beginning and returns false.
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

// appendNewest appends more to list and keeps the newest elements: at least most of them, if
// there are so many.
func appendNewest[T any](list, more []T, most int) []T {
	list = append(list, more[max(len(more)-2*most, 0):]...)
	if len(list) > 2*most {
		list = slices.Clone(list[len(list)-most:])
	}
	return list
}
