package oauthz

import (
	"net/http"
	"slices"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// open says whether no credentials are looked at.
func (r Requirement) open() bool {
	switch r.kind {
	case kindPublic:
		return true
	case kindAll:
		return len(r.parts) > 0 && !slices.ContainsFunc(r.parts, func(p Requirement) bool { return !p.open() })
	case kindAny:
		return slices.ContainsFunc(r.parts, Requirement.open)
	default:
		return false
	}
}

// allowsAnonymous reports whether a request without credentials meets r.
func (r Requirement) allowsAnonymous() bool { return r.allows(false) }

// allows reports whether a request without credentials meets r: any such
// request, or a preflight, of which only the Requirement of a [Route] knows.
func (r Requirement) allows(preflight bool) bool {
	switch {
	case r.anonymous || r.kind == kindPublic || preflight && r.preflight:
		return true
	case r.kind == kindAll:
		return len(r.parts) > 0 && !slices.ContainsFunc(r.parts, func(p Requirement) bool { return !p.allows(preflight) })
	case r.kind == kindAny:
		return slices.ContainsFunc(r.parts, func(p Requirement) bool { return p.allows(preflight) })
	default:
		return false
	}
}

// Check says whether t meets r at the time now: nil, or the *[Error] to answer
// with. A nil t, which is no token at all, meets only what is public or
// anonymous.
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
	if r.met(t, now) {
		return nil
	}
	return r.lack(t, now).error()
}

// withoutToken is the answer to a request without credentials: what to ask for,
// and no error (RFC 6750 §3.1).
func (r Requirement) withoutToken() *Error {
	return &Error{Status: http.StatusUnauthorized, Scopes: r.Scopes(), Err: ErrNoToken}
}

func (r *Requirement) met(t *Token, now time.Time) bool {
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
			if !r.parts[i].met(t, now) {
				return false
			}
		}
		return true
	case kindAny:
		for i := range r.parts {
			if r.parts[i].met(t, now) {
				return true
			}
		}
		return false
	default: // kindPublic
		return true
	}
}

func (t *Token) claimIsOneOf(name string, values []string) bool {
	value, ok := t.claim(name)
	if !ok {
		return false
	}
	if s, err := strictjson.String(value); err == nil {
		return slices.Contains(values, s)
	}
	elements, _ := strictjson.Array(value) // what is neither has no elements
	return slices.ContainsFunc(elements, func(e string) bool {
		s, err := strictjson.String(e)
		return err == nil && slices.Contains(values, s)
	})
}

// lack is why a token does not meet a requirement, in the order of what helps
// least: a new token with more scope, or a new login, changes nothing about a
// claim that is missing.
type lack struct {
	reason reason
	scopes []string // all that the chosen alternatives need, met or not (RFC 6750 §3)
	acr    []string // of the chosen alternatives, likewise
	maxAge *time.Duration
}

type reason int

const (
	lacksNothing reason = iota
	lacksLogin
	lacksScope
	lacksClaim
)

// lack explains a Requirement that is not met. Of an Any it is the alternative
// that is met, else one that a new login alone would meet, else the first.
func (r *Requirement) lack(t *Token, now time.Time) lack {
	var l lack
	met := r.met(t, now)
	switch r.kind {
	case kindScopes:
		l = lack{reason: lacksScope, scopes: r.values}
	case kindClaim:
		l = lack{reason: lacksClaim}
	case kindACR:
		l = lack{reason: lacksLogin, acr: r.values}
	case kindMaxAge:
		age := r.maxAge // a copy: an ErrorHandler gets a pointer to it
		l = lack{reason: lacksLogin, maxAge: &age}
	case kindAll:
		for i := range r.parts {
			l = l.and(r.parts[i].lack(t, now))
		}
	case kindAny:
		return r.alternative(t, now)
	}
	if met {
		l.reason = lacksNothing
	}
	return l
}

func (r *Requirement) alternative(t *Token, now time.Time) lack {
	var chosen lack
	for i := range r.parts {
		l := r.parts[i].lack(t, now)
		switch {
		case l.reason == lacksNothing:
			return l
		case i == 0, l.reason == lacksLogin && chosen.reason != lacksLogin:
			chosen = l
		}
	}
	return chosen
}

// and joins what two parts of an All lack. Of two lists of acr values the client
// is told what is in both (or the first, if no login could meet both), and of
// two ages the shorter.
func (l lack) and(m lack) lack {
	l.reason = max(l.reason, m.reason)
	for _, s := range m.scopes {
		if !slices.Contains(l.scopes, s) {
			l.scopes = append(slices.Clip(l.scopes), s)
		}
	}
	both := slices.DeleteFunc(slices.Clone(l.acr), func(v string) bool { return !slices.Contains(m.acr, v) })
	switch {
	case l.acr == nil:
		l.acr = m.acr
	case len(both) > 0:
		l.acr = both
	}
	if l.maxAge == nil || m.maxAge != nil && *m.maxAge < *l.maxAge {
		l.maxAge = m.maxAge
	}
	return l
}

func (l lack) error() *Error {
	switch l.reason {
	case lacksLogin:
		return &Error{
			Status: http.StatusUnauthorized, Code: codeInsufficientAuthentication,
			Description: "A newer or stronger login is required",
			ACRValues:   slices.Clone(l.acr), MaxAge: l.maxAge, Err: ErrInsufficientAuthentication,
		}
	case lacksScope:
		return &Error{
			Status: http.StatusForbidden, Code: codeInsufficientScope,
			Description: "The access token lacks a scope that is required",
			Scopes:      slices.Clone(l.scopes), Err: ErrInsufficientScope,
		}
	default:
		return &Error{
			Status: http.StatusForbidden, Code: codeInsufficientScope,
			Description: "The access token does not allow this", Err: ErrInsufficientScope,
		}
	}
}
