package redislog

import (
	"cmp"
	"strconv"
	"strings"
)

// entryID is the id of an entry. The zero value is before all ids.
type entryID struct{ ms, seq uint64 }

func (id entryID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

func (id entryID) compare(other entryID) int {
	return cmp.Or(cmp.Compare(id.ms, other.ms), cmp.Compare(id.seq, other.seq))
}

// parseID reads the form that String writes. It rejects every other form that Redis accepts as
// an id, such as "$", which would skip the entries before it.
func parseID(s string) (entryID, bool) {
	ms, seq, _ := strings.Cut(s, "-")
	var id entryID
	var err, err2 error
	id.ms, err = strconv.ParseUint(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, err == nil && err2 == nil && id.String() == s
}

// position holds the id of the last entry that was read of each stream, so that the loss of
// either stream is detected.
type position [2]entryID

func (p position) String() string { return p[0].String() + "," + p[1].String() }

// parsePosition reads the form that String writes; "" is the beginning.
func parsePosition(s string) (p position, ok bool) {
	if s == "" {
		return p, true
	}
	first, second, _ := strings.Cut(s, ",")
	var ok1, ok2 bool
	p[0], ok1 = parseID(first)
	p[1], ok2 = parseID(second)
	return p, ok1 && ok2
}
