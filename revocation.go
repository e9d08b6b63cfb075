package oauthz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/oauthz/oauthz/internal/revindex"
)

// MaxLeeway is the most that an introspector may allow for clocks that differ
// (RFC 7519 §4.1.4). A revocation is kept this much longer than its Expires, so that
// no token outlives it. A token whose iat is further in the future is refused: it
// would escape every [Revocation.IssuedUntil].
const MaxLeeway = 5 * time.Minute

// errIssuedTooFarAhead is returned for a token that no [Revocation.IssuedUntil]
// would refuse.
var errIssuedTooFarAhead = fmt.Errorf("%w: iat is in the future", ErrInvalidToken)

// issuedTooFarAhead reports whether iat is further ahead of now than clocks may
// differ.
func (t *Token) issuedTooFarAhead(now time.Time) bool { return t.IssuedAt.After(now.Add(MaxLeeway)) }

// MatchTokenHash names the [TokenHash] of a token in [Revocation.Match], for tokens
// without a stable jti. Only a token that a server introspected has it. A JWT that
// was verified locally never has it, even if it has a claim of this name: it is
// revoked by its claims, which are the same in every encoding of the JWT.
const MatchTokenHash = "token_sha256"

// MatchTenant names [Token.Tenant] in [Revocation.Match]: the customer that the
// token acts for, if the introspector knows it. A claim of this name in a token has
// no effect.
const MatchTenant = "token_tenant"

// Revocation selects tokens that are revoked.
type Revocation struct {
	// Match holds claims that the token must have, all of them. Each value is a
	// string, a number or a bool, and is compared by type and value (7 is not "7").
	// A claim that is an array matches if it contains the value. "iss" is required:
	// a jti or a sub is unique only for its issuer (RFC 7519 §4.1.2, §4.1.7). An
	// empty jti, sub, sid, client_id, username or acr is a mistake: an empty one
	// counts as missing in a token.
	Match map[string]any
	// IssuedUntil limits the revocation to tokens that were issued (iat) at this time
	// or before. A token without iat counts as issued before. Zero: no limit.
	//
	// iat is a time of the authorization server's clock, most often in whole seconds.
	// So if IssuedUntil is the current time, a token that was just issued by a server
	// whose clock is ahead is not revoked, and the token of a login later in the same
	// second is revoked. Add the most that the server's clock may be ahead: a few
	// seconds if both machines are synchronised, [MaxLeeway] to be sure, because a
	// Guard accepts no iat that is further ahead. The tokens of a login within that
	// time are revoked too. To end one login, and let the user log in again at once,
	// match its sid or jti and leave IssuedUntil zero.
	IssuedUntil time.Time
	// Expires is when the last token that the revocation can match expires. Zero: the
	// revocation never expires.
	Expires time.Time
	// Reason and At (the time of the revocation) are for people who read the list.
	Reason string
	At     time.Time
}

// Check returns an error if rev is not valid, and no list would take it: if Match has
// no iss, if a value cannot be compared or is empty where that counts as missing, if
// a text is not UTF-8, if the year of a time is after 9999 (RFC 3339 §1), or if rev
// is longer than 64 KiB.
func (rev Revocation) Check() error {
	if _, err := rev.entry(); err != nil {
		return fmt.Errorf("oauthz: revocation: %w", err)
	}
	return nil
}

// errEmpty is returned for a claim that counts as missing if it is empty. The caller
// took a jti, say, from a token that has none.
var errEmpty = errors.New("no token has an empty one")

// errYear is returned for a time that RFC 3339 cannot express. Such a revocation
// could not be sent to another instance, and a list that holds it could not be
// written as JSON.
var errYear = errors.New("a time whose year in UTC is not 0 to 9999; the zero time means never")

// entry returns rev as the index holds it, or an error if rev is not valid.
func (rev *Revocation) entry() (e revindex.Entry, err error) {
	if e.Key, err = matchKey(rev.Match); err != nil {
		return e, err
	}
	e.Term = revindex.Term{IssuedUntil: rev.IssuedUntil, Expires: rev.Expires, At: rev.At}
	e.Reason = rev.Reason
	if !utf8.ValidString(rev.Reason) {
		return e, fmt.Errorf("reason: %w", revindex.ErrNotUTF8)
	}
	if e.Size() > revindex.MaxEntryBytes {
		return e, fmt.Errorf("longer than %d bytes", revindex.MaxEntryBytes)
	}
	for _, t := range []time.Time{rev.IssuedUntil, rev.Expires, rev.At} {
		if year := t.UTC().Year(); year < 0 || year > 9999 {
			return e, errYear
		}
	}
	return e, nil
}

// matchKey returns a Revocation.Match as the index holds it.
func matchKey(match map[string]any) (k revindex.Key, err error) {
	if k.Issuer, _ = match["iss"].(string); k.Issuer == "" {
		return k, errors.New("match has no iss")
	}
	for name := range match {
		if !utf8.ValidString(name) {
			return k, revindex.ErrNotUTF8
		}
		if name != "iss" {
			k.Names = append(k.Names, name)
		}
	}
	if !utf8.ValidString(k.Issuer) {
		return k, revindex.ErrNotUTF8
	}
	slices.Sort(k.Names)
	for _, name := range k.Names {
		value, err := revindex.ValueOf(match[name])
		if err != nil {
			return k, fmt.Errorf("match %q: %w", name, err)
		}
		if _, text := new(Token).textClaim(name); text && value == revindex.String("") {
			return k, fmt.Errorf("match %q: %w", name, errEmpty)
		}
		k.Values = append(k.Values, value)
	}
	return k, nil
}

// RevocationList reports whether a token is revoked. It must be safe for concurrent
// use, and must only read t. If Revoked returns an error, the Guard answers the
// request with 503.
//
// For an entry that has an IssuedUntil, a list must treat a token without iat as
// issued before. The Guard refuses a token whose iat is more than [MaxLeeway] in the
// future; a list that is used without a Guard should treat such an iat as missing.
//
// Revoked must return when ctx is done, which is soon: see
// [Config.RevocationTimeout]. A list that answers from memory should also have a
// method NeverWaits(): Revoked is then called without a timer.
type RevocationList interface {
	Revoked(ctx context.Context, t *Token) (bool, error)
}

// Revoker records revocations. It records all of them, or none and returns an error.
type Revoker interface {
	Revoke(ctx context.Context, revs ...Revocation) error
}

// CheckRevoked returns an Introspector that looks up every token that next accepts in
// lists, in order. It is for uses without a [Guard], which has [Config.RevocationLists].
// Each list may take a second. The Introspector is not [Cacheable].
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

// defaultRevocationTimeout limits each call of RevocationList.Revoked.
const defaultRevocationTimeout = time.Second

// boundList is a list and the limit for each call of its Revoked; 0: no limit.
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

func (l boundList) revoked(ctx context.Context, t *Token) (bool, error) {
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	return l.Revoked(ctx, t)
}

// InsecureFailOpen returns a list that reports a token as not revoked if list returns
// an error: as long as list fails, revoked tokens are accepted. Each time, report is
// called with the error. It is required and must be safe for concurrent use. If the
// client cancels the request, the returned list does not fail open.
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
		return false, err // else a client that disconnects could make every list fail open
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

// Cacheable reports whether the results of in may be cached. Those of [CheckRevoked]
// may not, because it must look up the lists each time, nor those of a [FirstOf] that
// has a CheckRevoked.
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

// askLists returns ErrRevoked if a list reports t as revoked, ErrUnavailable if a
// list returns an error (of any kind), and otherwise nil.
func askLists(ctx context.Context, lists []boundList, t *Token) error {
	for _, l := range lists {
		revoked, err := l.revoked(ctx, t)
		if err != nil {
			return unavailable(err)
		}
		if revoked {
			return ErrRevoked
		}
	}
	return nil
}
