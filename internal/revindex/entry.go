package revindex

import "time"

// Entry is one revocation.
type Entry struct {
	Key
	Term
	Reason string // for people; it revokes nothing
}

// Key selects tokens: those of one issuer that have all of the named claims, each
// with the value of the same position.
type Key struct {
	Issuer string
	Names  []string // sorted, without iss
	Values []Value
}

// Term limits when a revocation applies, and to which tokens.
type Term struct {
	IssuedUntil time.Time // zero: whenever the token was issued
	Expires     time.Time // zero: never
	At          time.Time // for people; it limits nothing
	combined    bool      // the index made it of several: no added entry covers as much
}

// Token holds the properties of a token that the index reads.
type Token struct {
	Issuer   string
	IssuedAt time.Time // zero: unknown, which counts as before every IssuedUntil
	Claims   Claims
}

// Claims returns the values that a claim can be matched by. Of a claim that is an
// array, more holds all elements but the first. If the token has no such value, ok
// is false.
type Claims interface {
	Values(name string) (first Value, more []Value, ok bool)
}

// expiry returns when no token that an entry of t can match is valid any more;
// zero: never.
func (t *Term) expiry(leeway time.Duration) time.Time {
	if t.Expires.IsZero() {
		return time.Time{}
	}
	return t.Expires.Add(leeway)
}

func (t *Term) expired(now time.Time, leeway time.Duration) bool {
	return !t.Expires.IsZero() && !now.Before(t.expiry(leeway))
}

// revokes reports whether t applies to a token. A token that was issued too far in
// the future would escape every IssuedUntil. So its iat counts as unknown, for
// callers that do not refuse such a token themselves.
func (t *Term) revokes(token *Token, now time.Time, leeway time.Duration) bool {
	return !t.expired(now, leeway) &&
		(t.IssuedUntil.IsZero() || !token.IssuedAt.After(t.IssuedUntil) || token.IssuedAt.After(now.Add(leeway)))
}

// covers reports whether t revokes every token that other revokes, for as long.
func (t *Term) covers(other *Term) bool {
	asLate := func(a, b time.Time) bool { return a.IsZero() || !b.IsZero() && !a.Before(b) }
	return asLate(t.IssuedUntil, other.IssuedUntil) && asLate(t.Expires, other.Expires)
}

// earliest returns the earlier of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// latest returns the later of two times, of which zero is never.
func latest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && a.After(b) {
		return a
	}
	return b
}
