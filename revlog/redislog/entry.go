package redislog

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/oauthz/oauthz"
)

// entry is an entry of a stream: an id, and names and values in turn.
type entry struct {
	stream int // index of the stream, 0 or 1
	id     entryID
	fields []any
}

var errReply = errors.New("the reply has an unknown form")

// decodeReply returns the entries of a reply to XREAD of two streams, in the order of their
// ids. The reply lists the streams that have entries: as pairs, or as a map with RESP3.
func decodeReply(reply any, keys []string) ([]entry, error) {
	streams, err := byKey(reply)
	if err != nil {
		return nil, err
	}
	var out []entry
	for i, key := range keys {
		entries, ok := streams[key].([]any)
		if streams[key] != nil && !ok {
			return nil, errReply
		}
		delete(streams, key)
		for _, e := range entries {
			decoded, ok := decodeEntry(e)
			if !ok {
				return nil, errReply
			}
			decoded.stream = i
			out = append(out, decoded)
		}
	}
	if len(streams) > 0 {
		return nil, errReply
	}
	slices.SortFunc(out, func(a, b entry) int { return a.id.compare(b.id) })
	return out, nil
}

func byKey(reply any) (map[any]any, error) {
	switch reply := reply.(type) {
	case map[any]any:
		return maps.Clone(reply), nil
	case []any:
		streams := make(map[any]any, len(reply))
		for _, r := range reply {
			pair, ok := r.([]any)
			if !ok || len(pair) != 2 {
				return nil, errReply
			}
			key, ok := pair[0].(string)
			if !ok {
				return nil, errReply
			}
			streams[key] = pair[1]
		}
		return streams, nil
	default:
		return nil, errReply
	}
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

// decode returns the revocation of an entry. If the entry is not a revocation, the error holds
// only its id, which XDEL needs.
func (e entry) decode() (rev oauthz.Revocation, err error) {
	if len(e.fields) == 4 && e.fields[0] == "over" && e.fields[2] == "rev" {
		doc, _ := e.fields[3].(string)
		if rev.UnmarshalJSON([]byte(doc)) == nil {
			return rev, nil
		}
	}
	return rev, fmt.Errorf("entry %s is not a revocation", e.id)
}
