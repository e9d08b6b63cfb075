package revlog

import "slices"

// trail is the way that a list came to where it is in its log: older positions, to
// go on from when the newest is gone, and the marks of what it read since them.
type trail struct {
	stops []stop // the last is the position
	marks []mark // of the last entries that were read
	read  int    // how many entries were read up to the position
}

// stop is a position, and how many entries were read up to it.
type stop struct {
	position string
	read     int
}

const (
	maxMarks  = 1 << 15 // 16 bytes each; who loses more reads everything again
	maxStops  = 64
	nearStops = 8 // the newest, which are all kept
)

// position returns where the list is; "" is the beginning.
func (t *trail) position() string {
	if len(t.stops) == 0 {
		return ""
	}
	return t.stops[len(t.stops)-1].position
}

// advance goes on to a position up to which the entries with marks were read.
func (t *trail) advance(position string, marks []mark) {
	if len(marks) == 0 && len(t.stops) > 0 {
		t.stops[len(t.stops)-1].position = position
		return
	}
	t.read += len(marks)
	t.marks = append(t.marks, marks...)
	if len(t.marks) > 2*maxMarks {
		t.marks = slices.Clone(t.marks[len(t.marks)-maxMarks:])
	}
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
// read since. It goes back to the beginning, and returns false, if there is none or
// if the marks are not known any more.
func (t *trail) rewind() (since []mark, ok bool) {
	if n := len(t.stops) - 1; n > 0 {
		s := t.stops[n-1]
		if known := len(t.marks) - (t.read - s.read); known >= 0 {
			since = t.marks[known:]
			t.stops, t.marks, t.read = t.stops[:n:n], t.marks[:known:known], s.read
			return since, true
		}
	}
	*t = trail{}
	return nil, false
}
