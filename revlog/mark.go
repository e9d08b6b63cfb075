package revlog

import (
	"encoding/json"
	"hash/maphash"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// mark is a hash of an entry, so that a list can remember the entries that it
// read without holding them twice. Reason and At do not count: of two entries that differ only in
// them a list holds one.
type mark struct {
	key   uint64 // of Match
	entry uint64 // of Match, IssuedUntil and Expires
}

// claim is one member of a Match, and times are the times of an entry.
type (
	claim struct {
		name  string
		value any
	}
	times struct {
		key                  uint64
		issuedUntil, expires int64
		issuedNano, endsNano int
	}
)

// markOf returns the mark of rev. Each list has a seed of its own, so that
// no client can choose entries whose marks are equal.
func markOf(seed maphash.Seed, rev oauthz.Revocation) mark {
	var m mark
	for name, value := range canonical(rev).Match {
		m.key += maphash.Comparable(seed, claim{name, value}) // in any order
	}
	m.entry = maphash.Comparable(seed, times{
		m.key, rev.IssuedUntil.Unix(), rev.Expires.Unix(), rev.IssuedUntil.Nanosecond(), rev.Expires.Nanosecond(),
	})
	return m
}

func marksOf(seed maphash.Seed, revs []oauthz.Revocation) []mark {
	marks := make([]mark, len(revs))
	for i, rev := range revs {
		marks[i] = markOf(seed, rev)
	}
	return marks
}

// canonical returns rev with the values that a log returns for those of its Match:
// a program may give 7 as an int, or as 7.0.
func canonical(rev oauthz.Revocation) oauthz.Revocation {
	for _, value := range rev.Match {
		switch v := value.(type) {
		case string, bool:
			continue
		case json.Number:
			if isPlain(string(v)) {
				continue
			}
		}
		var out oauthz.Revocation
		if doc, err := rev.MarshalJSON(); err == nil && out.UnmarshalJSON(doc) == nil {
			return out
		}
		return oauthz.Revocation{} // no log takes it
	}
	return rev
}

// isPlain reports whether text is the canonical form of a small whole number.
func isPlain(text string) bool {
	return text == "0" || len(text) < 20 && text != "" && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}

// nearEnd is how long before an entry ends a list does not miss it any more: a log
// whose clock is ahead of the list's may have dropped it.
const nearEnd = time.Minute

// ends reports whether no token that rev matches can be alive soon after now.
func ends(rev oauthz.Revocation, now time.Time) bool {
	return !rev.Expires.IsZero() && !now.Add(nearEnd).Before(rev.Expires.Add(oauthz.MaxLeeway))
}
