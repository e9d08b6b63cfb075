package revlog

import (
	"encoding/json"
	"hash/maphash"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// mark is a hash of an entry. With it a list remembers which entries it has read without a
// second copy of them. Reason and At are not part of it: a list holds only one of two entries
// that differ only in them.
type mark struct {
	key   uint64 // of Match
	entry uint64 // of Match, IssuedUntil and Expires
}

// claim is one member of a Match. times holds the key and the times of an entry.
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

// markOf returns the mark of rev. Each list has a seed of its own, so that a client cannot
// choose entries whose marks are equal.
func markOf(seed maphash.Seed, rev oauthz.Revocation) mark {
	var m mark
	for name, value := range canonical(rev).Match {
		m.key += maphash.Comparable(seed, claim{name, value}) // a sum does not depend on the order
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

// canonical returns rev with the values of Match that a log returns: a program may pass 7 as an
// int or as 7.0.
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
		return oauthz.Revocation{} // no log accepts rev
	}
	return rev
}

// isPlain reports whether text is the canonical form of a small whole number.
func isPlain(text string) bool {
	return text == "0" || len(text) < 20 && text != "" && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}

// expiryMargin is the time before the end of an entry during which a list no longer treats the
// entry as missing: a log whose clock is ahead of the list's clock may have deleted it.
const expiryMargin = time.Minute

// expiresSoon reports whether rev can match no valid token any more, now or within
// expiryMargin.
func expiresSoon(rev oauthz.Revocation, now time.Time) bool {
	return !rev.Expires.IsZero() && !now.Add(expiryMargin).Before(rev.Expires.Add(oauthz.MaxLeeway))
}
