package oauthz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxLeeway is the most that an introspector may allow for clocks that differ.
// A revocation is kept this much longer than it says, so that no token outlives it.
// A token whose iat is further ahead is refused: it would escape every
// [Revocation.IssuedUntil].
const MaxLeeway = 5 * time.Minute

// errIssuedTooFarAhead: no [Revocation.IssuedUntil] would ever refuse the token.
var errIssuedTooFarAhead = fmt.Errorf("%w: iat is in the future", ErrInvalidToken)

// issuedTooFarAhead reports whether iat is further ahead of now than clocks may
// differ.
func (t *Token) issuedTooFarAhead(now time.Time) bool { return t.IssuedAt.After(now.Add(MaxLeeway)) }

// MatchTokenHash names the [TokenHash] of a token in [Revocation.Match]. Only
// tokens that a server was asked about carry it, for those that have no stable
// jti. A JWT verified locally never has it, whatever it claims: it is revoked by
// its claims, which every encoding of it has.
const MatchTokenHash = "token_sha256"

// MatchTenant names [Token.Tenant] in [Revocation.Match]: the customer acted
// for, where the introspector knows it. No token can claim it of itself.
const MatchTenant = "token_tenant"

// Revocation says which tokens are revoked.
type Revocation struct {
	// Match holds claims that a token must all carry: a string, a number or a
	// bool each, compared by type and value (7 is not "7"). A claim that is an
	// array matches if it contains the value. "iss" is required: a jti or a
	// subject means nothing without its issuer. An empty jti, sub, sid, client_id,
	// username or acr is a mistake: no token has one.
	Match map[string]any
	// IssuedUntil limits the revocation to tokens issued (iat) at this time or
	// before. A token without iat counts as issued before. Zero: whenever issued.
	//
	// iat is a time of the authorization server's clock, most often in whole
	// seconds. So with the current time as IssuedUntil, a token that a server whose
	// clock is ahead has just issued is not revoked, and the token of a login later in
	// the same second is. Add the most that the server's clock may be ahead: a few
	// seconds if both machines are synchronised, [MaxLeeway] to be sure, for no Guard
	// accepts an iat that is further ahead. The tokens of a login within that time are
	// revoked too. To end one login, and let the user log in again at once, match its
	// sid or jti and leave IssuedUntil zero.
	IssuedUntil time.Time
	// Expires is when the last token that it can match is dead. Zero: it is
	// kept for ever.
	Expires time.Time
	// Reason and At are for the people who read the list.
	Reason string
	At     time.Time
}

// Check says what is wrong with rev, which no list takes then: a Match that has
// no iss, a value that cannot be compared or is empty where no token has that,
// what is not UTF-8, a time after the year 9999 (RFC 3339 has none), more than
// 64 KiB.
func (rev Revocation) Check() error {
	if _, err := rev.matcher(); err != nil {
		return fmt.Errorf("oauthz: revocation: %w", err)
	}
	return nil
}

// RevocationList says whether a token is revoked. It must be safe for
// concurrent use, and only reads t. An error means that it cannot tell, and the
// request is answered with 503.
//
// A list with entries that have an IssuedUntil must heed that a token without iat
// counts as issued before. The Guard refuses a token whose iat is more than
// [MaxLeeway] ahead; a list that is asked without a Guard does best to take such an
// iat for missing.
//
// Revoked must return when ctx is done, which is soon: see
// [Config.RevocationTimeout]. A list that answers from memory has a method
// NeverWaits() too, and is asked without a timer.
type RevocationList interface {
	Revoked(ctx context.Context, t *Token) (bool, error)
}

// Revoker records revocations: all of them, or none and an error.
type Revoker interface {
	Revoke(ctx context.Context, revs ...Revocation) error
}

// CheckRevoked asks lists about every token that next lets through: for uses
// without a [Guard], which has [Config.Revocations]. Each list may take a second.
// It is not [Cacheable].
func CheckRevoked(next Introspector, lists ...RevocationList) (Introspector, error) {
	if isNil(next) {
		return nil, errors.New("oauthz: CheckRevoked: introspector is nil")
	}
	if len(lists) == 0 {
		return nil, errors.New("oauthz: CheckRevoked: no list")
	}
	for i, l := range lists {
		if isNil(l) {
			return nil, fmt.Errorf("oauthz: CheckRevoked: list %d is nil", i)
		}
	}
	return &revocationCheck{next, boundLists(lists, defaultRevocationTimeout)}, nil
}

// defaultRevocationTimeout is how long a list may take.
const defaultRevocationTimeout = time.Second

// boundList is a list and how long it may take; 0: as long as it likes.
type boundList struct {
	RevocationList
	timeout time.Duration
}

func boundLists(lists []RevocationList, timeout time.Duration) []boundList {
	out := make([]boundList, len(lists))
	for i, l := range lists {
		out[i] = boundList{l, max(timeout, 0)}
		if _, ok := l.(interface{ NeverWaits() }); ok {
			out[i].timeout = 0
		}
	}
	return out
}

func (l boundList) ask(ctx context.Context, t *Token) (bool, error) {
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	return l.Revoked(ctx, t)
}

// InsecureFailOpen returns a list that takes it that a token is not revoked when
// list cannot tell: while it cannot, revoked tokens are accepted. Each time,
// report, which is required, is told the error; it must be safe for concurrent use.
// A caller who cancels the request does not make it fail open.
func InsecureFailOpen(list RevocationList, report func(context.Context, error)) (RevocationList, error) {
	if isNil(list) || report == nil {
		return nil, errors.New("oauthz: InsecureFailOpen: the list or the report is nil")
	}
	return failOpen{list, report}, nil
}

type failOpen struct {
	list   RevocationList
	report func(context.Context, error)
}

func (l failOpen) Revoked(ctx context.Context, t *Token) (bool, error) {
	revoked, err := l.list.Revoked(ctx, t)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return false, err // whoever hangs up would make every list unable to tell
	}
	if err != nil {
		l.report(ctx, err)
		return false, nil
	}
	return revoked, nil
}

type revocationCheck struct {
	next  Introspector
	lists []boundList
}

func (c *revocationCheck) Introspect(ctx context.Context, token string) (*Token, error) {
	t, err := c.next.Introspect(ctx, token)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errNilToken
	}
	if err := askLists(ctx, c.lists, t); err != nil {
		return nil, err
	}
	return t, nil
}

// Cacheable says whether the verdicts of in may be remembered: not those of
// [CheckRevoked], which must ask each time, nor of a [FirstOf] that has one.
func Cacheable(in Introspector) bool {
	switch in := in.(type) {
	case *revocationCheck:
		return false
	case firstOf:
		return !slices.ContainsFunc(in, func(one Introspector) bool { return !Cacheable(one) })
	default:
		return true
	}
}

// askLists returns nil, ErrRevoked, or a fault whatever a list's error wraps.
func askLists(ctx context.Context, lists []boundList, t *Token) error {
	for _, l := range lists {
		revoked, err := l.ask(ctx, t)
		if err != nil {
			return unavailable(err)
		}
		if revoked {
			return ErrRevoked
		}
	}
	return nil
}
