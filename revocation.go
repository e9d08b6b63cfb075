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
const MaxLeeway = 5 * time.Minute

// MatchTokenHash names the base64url(SHA-256(token)) of a token in
// [Revocation.Match]. Only tokens that a server was asked about carry it, for
// those that have no stable jti. A JWT verified locally never has it, whatever
// it claims: every ES256 token has a valid twin with other bytes.
const MatchTokenHash = "token_sha256"

// MatchTenant names [Token.Tenant] in [Revocation.Match]: the customer acted
// for, where the introspector knows it. No token can claim it of itself.
const MatchTenant = "token_tenant"

// Revocation says which tokens are revoked.
type Revocation struct {
	// Match holds claims that a token must all carry: a string, a number or a
	// bool each, compared by type and value (7 is not "7"). A claim that is an
	// array matches if it contains the value. "iss" is required: a jti or a
	// subject means nothing without its issuer.
	Match map[string]any
	// IssuedUntil limits it to tokens issued (iat) at this time or before. A
	// token without iat counts as issued before. Zero: whenever issued.
	IssuedUntil time.Time
	// Expires is when the last token that it can match is dead. Zero: it is
	// kept for ever.
	Expires time.Time
	// Reason and At are for the people who read the list.
	Reason string
	At     time.Time
}

// RevocationList says whether a token is revoked. It must be safe for
// concurrent use, and only reads t. An error means that it cannot tell, and the
// request is answered with 503.
type RevocationList interface {
	Revoked(ctx context.Context, t *Token) (bool, error)
}

// Revoker records revocations: all of them, or none and an error.
type Revoker interface {
	Revoke(ctx context.Context, revs ...Revocation) error
}

// CheckRevoked asks lists about every token that next lets through: for uses
// without a [Guard], which has [Config.Revocations]. It is not [Cacheable].
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
	return &revocationCheck{next, slices.Clone(lists)}, nil
}

type revocationCheck struct {
	next  Introspector
	lists []RevocationList
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
func askLists(ctx context.Context, lists []RevocationList, t *Token) error {
	for _, l := range lists {
		revoked, err := l.Revoked(ctx, t)
		if err != nil {
			return unavailable(err)
		}
		if revoked {
			return ErrRevoked
		}
	}
	return nil
}
