package oauthz

import "time"

// Verdict is the part of a [Token] that its [Introspector] adds to the claims: how
// long the verdict "this token is valid" may be relied on. Handlers need none of it.
// To change one field, read the verdict with [Token.Verdict], change the field, and
// set the verdict with [Token.SetVerdict].
type Verdict struct {
	// Until is the time until which the verdict may be remembered. Zero means the
	// ExpiresAt of the token plus Leeway. If Until is later than ExpiresAt, the
	// difference is the leeway of the introspector for clocks that differ (RFC 7519
	// §4.1.4); a [Guard] accepts the expired token until then, but not longer than
	// [MaxLeeway] after ExpiresAt.
	Until time.Time
	// Live reports whether the verdict is still valid now. A cache never serves a
	// verdict that is not live. Obtain Live before you verify the token, from the key
	// set that verifies it: Live must report whether that key is still published. Live
	// must be safe for concurrent use. Nil means that the verdict is valid until Until.
	Live func() bool
	// Leeway is how long after ExpiresAt the token is still accepted, up to
	// [MaxLeeway]. It counts only if Until is zero. It is for introspectors that
	// remember nothing of their own. Default 0.
	Leeway time.Duration
	// TokenHash is the [TokenHash] of the token. With it, this one token can be
	// revoked by [MatchTokenHash] if it has no jti, or one that changes. It is for
	// introspectors that send the token to a server. Empty means that a revocation
	// list does not compare the hash.
	TokenHash string
}

// Verdict returns the verdict that [Token.SetVerdict] has set, as it was set.
func (t *Token) Verdict() Verdict { return t.verdict }

// SetVerdict sets the verdict of t. It is for introspectors. It must not be called on
// a Token that is shared.
func (t *Token) SetVerdict(v Verdict) { t.verdict = v }

// end returns the time until which the verdict may be remembered. Zero means that it
// does not end.
func (t *Token) end() time.Time {
	if t.verdict.Until.IsZero() && !t.ExpiresAt.IsZero() {
		return t.ExpiresAt.Add(t.verdict.Leeway)
	}
	return t.verdict.Until
}

// Validity evaluates the [Verdict] for caches. It returns the time until which the
// verdict may be remembered, and reports whether the verdict is still valid now. A
// zero until means that neither the token nor its verdict expires.
func (t *Token) Validity() (until time.Time, live bool) {
	return t.end(), t.verdict.Live == nil || t.verdict.Live()
}

// Expired reports whether t has expired at the time now, which is from ExpiresAt on
// (RFC 7519 §4.1.4). It adds the leeway of the [Verdict], up to [MaxLeeway]. A token
// without ExpiresAt does not expire. A verdict that ends earlier than ExpiresAt is not
// an expiry.
func (t *Token) Expired(now time.Time) bool {
	if t.ExpiresAt.IsZero() {
		return false
	}
	end := t.ExpiresAt
	if until := t.end(); until.After(end) {
		end = until
		if latest := t.ExpiresAt.Add(MaxLeeway); end.After(latest) {
			end = latest
		}
	}
	return !now.Before(end)
}
