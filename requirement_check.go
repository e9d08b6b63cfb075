package oauthz

import (
	"net/http"
	"slices"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// isPublic reports whether a request meets r without a look at its credentials.
func (r Requirement) isPublic() bool {
	switch r.kind {
	case kindPublic:
		return true
	case kindAll:
		return len(r.parts) > 0 && !slices.ContainsFunc(r.parts, func(p Requirement) bool { return !p.isPublic() })
	case kindAny:
		return slices.ContainsFunc(r.parts, Requirement.isPublic)
	default:
		return false
	}
}

// allowsAnonymous reports whether a request without credentials meets r.
func (r Requirement) allowsAnonymous() bool { return r.allowsWithoutToken(false) }

// allowsWithoutToken reports whether a request without credentials meets r. If
// preflight is set, a CORS preflight counts as one: only the Requirement of a
// [Route] records whether preflights are let through.
func (r Requirement) allowsWithoutToken(preflight bool) bool {
	switch {
	case r.anonymous || r.kind == kindPublic || preflight && r.preflight:
		return true
	case r.kind == kindAll:
		return len(r.parts) > 0 && !slices.ContainsFunc(r.parts, func(p Requirement) bool { return !p.allowsWithoutToken(preflight) })
	case r.kind == kindAny:
		return slices.ContainsFunc(r.parts, func(p Requirement) bool { return p.allowsWithoutToken(preflight) })
	default:
		return false
	}
}

// Check returns nil if t meets r at the time now, and otherwise the *[Error] to
// answer with: RFC 6750 §3.1 for scopes and claims, RFC 9470 §3 for the login. A nil
// t stands for a request without a token; it meets only a requirement that is public
// or allows anonymous requests. Check does not check the expiry of t. It is safe for
// concurrent use.
func (r Requirement) Check(t *Token, now time.Time) error {
	if e := r.check(t, now); e != nil {
		return e
	}
	return nil
}

func (r Requirement) check(t *Token, now time.Time) *Error {
	if t == nil {
		if r.allowsAnonymous() {
			return nil
		}
		return r.withoutToken()
	}
	if r.satisfiedBy(t, now) {
		return nil
	}
	return r.missingFrom(t, now).toError()
}

// withoutToken returns the answer to a request without credentials: the scopes
// to request, and no error code (RFC 6750 §3.1).
func (r Requirement) withoutToken() *Error {
	return &Error{Status: http.StatusUnauthorized, Scopes: r.Scopes(), Err: ErrNoToken}
}

// satisfiedBy reports whether t meets r at the time now.
func (r *Requirement) satisfiedBy(t *Token, now time.Time) bool {
	switch r.kind {
	case kindScopes:
		for _, s := range r.values {
			if !t.Scopes.Has(s) {
				return false
			}
		}
		return true
	case kindClaim:
		return t.claimIsOneOf(r.claim, r.values)
	case kindACR:
		return t.ACR != "" && slices.Contains(r.values, t.ACR)
	case kindMaxAge:
		return !t.AuthTime.IsZero() && now.Sub(t.AuthTime) <= r.maxAge && t.AuthTime.Sub(now) <= MaxLeeway
	case kindAll:
		for i := range r.parts {
			if !r.parts[i].satisfiedBy(t, now) {
				return false
			}
		}
		return true
	case kindAny:
		for i := range r.parts {
			if r.parts[i].satisfiedBy(t, now) {
				return true
			}
		}
		return false
	default: // kindPublic
		return true
	}
}

// claimIsOneOf reports whether the claim is a string that is one of values, or an
// array that contains such a string.
func (t *Token) claimIsOneOf(name string, values []string) bool {
	value, ok := t.claim(name)
	if !ok {
		return false
	}
	if s, err := strictjson.String(value); err == nil {
		return slices.Contains(values, s)
	}
	elements, _ := strictjson.Array(value) // a value that is neither has no elements
	return slices.ContainsFunc(elements, func(e string) bool {
		s, err := strictjson.String(e)
		return err == nil && slices.Contains(values, s)
	})
}

// missing describes why a token does not satisfy a requirement. The reasons are in
// the order of how little the client can do: a token with more scopes, or a new
// login, does not supply a claim that the token lacks.
type missing struct {
	reason missingReason
	scopes []string // all scopes that the chosen alternatives require, granted or not (RFC 6750 §3)
	acr    []string // all acr values that the chosen alternatives require, met or not (RFC 9470 §3)
	maxAge *time.Duration
}

type missingReason int

const (
	missingNothing missingReason = iota
	missingLogin
	missingScope
	missingClaim
)

// missingFrom returns what t lacks for r. For an Any it describes the alternative
// that t satisfies; if there is none, the first that a new login alone would
// satisfy; if there is none either, the first alternative.
func (r *Requirement) missingFrom(t *Token, now time.Time) missing {
	var m missing
	switch r.kind {
	case kindScopes:
		m = missing{reason: missingScope, scopes: r.values}
	case kindClaim:
		m = missing{reason: missingClaim}
	case kindACR:
		m = missing{reason: missingLogin, acr: r.values}
	case kindMaxAge:
		age := r.maxAge // a copy, because an ErrorHandler gets a pointer to it
		m = missing{reason: missingLogin, maxAge: &age}
	case kindAll:
		for i := range r.parts {
			m = m.merge(r.parts[i].missingFrom(t, now))
		}
	case kindAny:
		return r.bestAlternative(t, now)
	}
	if r.satisfiedBy(t, now) {
		m.reason = missingNothing
	}
	return m
}

// bestAlternative returns what t lacks for the alternative of an Any that
// [Requirement.missingFrom] chooses.
func (r *Requirement) bestAlternative(t *Token, now time.Time) missing {
	var chosen missing
	for i := range r.parts {
		m := r.parts[i].missingFrom(t, now)
		switch {
		case m.reason == missingNothing:
			return m
		case i == 0, m.reason == missingLogin && chosen.reason != missingLogin:
			chosen = m
		}
	}
	return chosen
}

// merge combines two parts of an All. Of two lists of acr values the challenge has
// the values that are in both lists, or the first list if no value is in both: no
// single login could then meet both. Of two ages it has the shorter.
func (m missing) merge(other missing) missing {
	m.reason = max(m.reason, other.reason)
	for _, s := range other.scopes {
		if !slices.Contains(m.scopes, s) {
			m.scopes = append(slices.Clip(m.scopes), s)
		}
	}
	both := slices.DeleteFunc(slices.Clone(m.acr), func(v string) bool { return !slices.Contains(other.acr, v) })
	switch {
	case m.acr == nil:
		m.acr = other.acr
	case len(both) > 0:
		m.acr = both
	}
	if m.maxAge == nil || other.maxAge != nil && *other.maxAge < *m.maxAge {
		m.maxAge = other.maxAge
	}
	return m
}

// toError returns the refusal. A login that is too weak or too old is 401 (RFC
// 9470 §3), and a scope that is not granted is 403 (RFC 6750 §3.1).
func (m missing) toError() *Error {
	switch m.reason {
	case missingLogin:
		return &Error{
			Status: http.StatusUnauthorized, Code: codeInsufficientAuthentication,
			Description: "A newer or stronger login is required",
			ACRValues:   slices.Clone(m.acr), MaxAge: m.maxAge, Err: ErrInsufficientAuthentication,
		}
	case missingScope:
		return &Error{
			Status: http.StatusForbidden, Code: codeInsufficientScope,
			Description: "The access token lacks a scope that is required",
			Scopes:      slices.Clone(m.scopes), Err: ErrInsufficientScope,
		}
	default:
		return &Error{
			Status: http.StatusForbidden, Code: codeInsufficientScope,
			Description: "The access token does not allow this", Err: ErrInsufficientScope,
		}
	}
}
