package redislog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/oauthz/oauthz"
)

// entryID is the id of an entry. The zero value comes before all of them.
type entryID struct{ ms, seq uint64 }

func (id entryID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

func (id entryID) compare(other entryID) int {
	return cmp.Or(cmp.Compare(id.ms, other.ms), cmp.Compare(id.seq, other.seq))
}

// parseID reads what String writes, and nothing else that Redis takes for an id:
// not "$", which would leave out what comes before it.
func parseID(s string) (entryID, bool) {
	ms, seq, _ := strings.Cut(s, "-")
	var id entryID
	var err, err2 error
	id.ms, err = strconv.ParseUint(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, err == nil && err2 == nil && id.String() == s
}

// entry is what a stream has: an id, and names and values in turn.
type entry struct {
	id     entryID
	fields []any
}

var errReply = errors.New("an answer of a shape that is not known")

// decodeReply returns the entries of both streams that read.lua returned, in the
// order of their ids.
func decodeReply(reply any) ([]entry, error) {
	streams, ok := reply.([]any)
	if !ok || len(streams) != 2 {
		return nil, errReply
	}
	var out []entry
	for _, stream := range streams {
		entries, ok := stream.([]any)
		if !ok {
			return nil, errReply
		}
		for _, e := range entries {
			decoded, ok := decodeEntry(e)
			if !ok {
				return nil, errReply
			}
			out = append(out, decoded)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return a.id.compare(b.id) })
	return out, nil
}

func decodeEntry(e any) (entry, bool) {
	parts, ok := e.([]any)
	if !ok || len(parts) != 2 {
		return entry{}, false
	}
	name, _ := parts[0].(string)
	id, ok := parseID(name)
	fields, isList := parts[1].([]any)
	return entry{id: id, fields: fields}, ok && isList
}

// decode reads the revocation of an entry. Of one that is none the error says
// nothing but its id, which is what XDEL needs.
func (e entry) decode() (rev oauthz.Revocation, err error) {
	if len(e.fields) == 4 && e.fields[0] == "over" && e.fields[2] == "rev" {
		doc, _ := e.fields[3].(string)
		if rev.UnmarshalJSON([]byte(doc)) == nil {
			return rev, nil
		}
	}
	return rev, fmt.Errorf("entry %s is not a revocation", e.id)
}
