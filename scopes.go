package oauthz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scopes are the scopes of a token (RFC 6749 §3.3). They are compared exactly.
type Scopes []string

// maxScopes bounds what one token may name; no route needs so many.
const maxScopes = 4096

// ParseScopes reads a scope string (RFC 6749 §3.3): scope tokens separated by
// spaces. More than one space, and spaces at the ends, are tolerated; any other
// character that the grammar does not have is an error.
func ParseScopes(s string) (Scopes, error) {
	scopes, ok := splitScopes(s)
	if !ok {
		return nil, errors.New("oauthz: scope: character outside RFC 6749 §3.3, or too many scopes")
	}
	return scopes, nil
}

// splitScopes returns the scope tokens of s; ok is false if some of s is none.
func splitScopes(s string) (scopes Scopes, ok bool) {
	ok = true
	n := min(strings.Count(s, " ")+1, maxScopes)
	for s != "" {
		var scope string
		scope, s, _ = strings.Cut(s, " ")
		switch {
		case scope == "":
		case !isScopeToken(scope) || len(scopes) == maxScopes:
			ok = false
		default:
			if scopes == nil {
				scopes = make(Scopes, 0, n)
			}
			scopes = append(scopes, scope)
		}
	}
	return scopes, ok
}

// isScopeToken: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), RFC 6749 §3.3.
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7E || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// Has says whether scope is one of them, exactly.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// String joins them with spaces.
func (s Scopes) String() string { return strings.Join(s, " ") }

// Requirement is what a route requires of a request. It is immutable, and safe
// for concurrent use. The zero Requirement is Require(): any valid token.
//
// A mistake in a requirement, such as a scope with a space in it, is a mistake
// in the program: the functions that build one panic and name it. Build
// requirements when the program starts: one that is built of what a request holds
// panics in that request.
type Requirement struct {
	kind      kind
	claim     string        // of kindClaim
	values    []string      // the scopes, claim values or ACR values
	maxAge    time.Duration // of kindMaxAge
	parts     []Requirement // of kindAll and kindAny
	anonymous bool          // OrAnonymous
	preflight bool          // of a Guard with AllowPreflight: see Guard.required
}

type kind int

const (
	kindScopes kind = iota
	kindClaim
	kindACR
	kindMaxAge
	kindAll
	kindAny
	kindPublic
)

// Require is met by a token with all of scopes; Require() by any valid token. It
// panics if one of scopes is empty or not within RFC 6749 §3.3.
func Require(scopes ...string) Requirement {
	return Requirement{kind: kindScopes, values: checked("Require", "scope", scopes, isScopeToken)}
}

// RequireAny is met by a token with one of scopes: it is Any of their Requires. It
// panics if there are none, or if one is empty or not within RFC 6749 §3.3.
func RequireAny(scopes ...string) Requirement {
	notEmpty("RequireAny", scopes)
	checked("RequireAny", "scope", scopes, isScopeToken)
	parts := make([]Requirement, len(scopes))
	for i, s := range scopes {
		parts[i] = Require(s)
	}
	return Any(parts...)
}

// RequireClaim is met if the claim called name is a string, and one of values,
// or an array that contains such a string. The name is exact, not a path. It
// panics if the name or one of values is empty, or if there are no values.
func RequireClaim(name string, values ...string) Requirement {
	if name == "" {
		panic("oauthz: RequireClaim: no name")
	}
	notEmpty("RequireClaim", values)
	return Requirement{kind: kindClaim, claim: name, values: checked("RequireClaim", "value", values, func(s string) bool { return s != "" })}
}

// RequireACR is met if the user logged in with one of these authentication
// context classes (acr); otherwise the client is told to log in again (RFC 9470).
// It panics if there are no values, or if one is empty or has a space, a quote, a
// backslash or a character that is not printable ASCII.
func RequireACR(values ...string) Requirement {
	notEmpty("RequireACR", values)
	return Requirement{kind: kindACR, values: checked("RequireACR", "value", values, isScopeToken)}
}

// RequireMaxAge is met if the user logged in (auth_time) no longer than d ago, a
// whole number of seconds; otherwise the client is told to log in again (RFC
// 9470). It panics if d is not a positive number of seconds.
func RequireMaxAge(d time.Duration) Requirement {
	if d < time.Second || d%time.Second != 0 {
		panic(fmt.Sprintf("oauthz: RequireMaxAge: %v is not a positive number of seconds", d))
	}
	return Requirement{kind: kindMaxAge, maxAge: d}
}

// All is met if all of reqs are. All() is met by any valid token.
func All(reqs ...Requirement) Requirement {
	return Requirement{kind: kindAll, parts: slices.Clone(reqs)}
}

// Any is met if one of reqs is. It panics if there are none: nothing could meet
// it.
func Any(reqs ...Requirement) Requirement {
	if len(reqs) == 0 {
		panic("oauthz: Any: nothing to choose from, so nothing could meet it")
	}
	return Requirement{kind: kindAny, parts: slices.Clone(reqs)}
}

// Public is met by everyone: no token is looked at. It says that a route is
// open on purpose.
func Public() Requirement { return Requirement{kind: kindPublic} }

// OrAnonymous is r, but a request without credentials is let through too: its
// handler finds no token in the context. A bad token is still refused.
func (r Requirement) OrAnonymous() Requirement {
	r.anonymous = true
	return r
}

func notEmpty(function string, values []string) {
	if len(values) == 0 {
		panic("oauthz: " + function + ": nothing to ask for")
	}
}

// checked returns a copy of values without repetitions, all of which are valid.
func checked(function, what string, values []string, valid func(string) bool) []string {
	var out []string
	for _, v := range values {
		if !valid(v) {
			panic(fmt.Sprintf("oauthz: %s: %s %q is empty or has a character that cannot be asked for", function, what, v))
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// Scopes returns the scopes that a client should ask for: all that r needs, and
// of an Any what its first alternative needs.
func (r Requirement) Scopes() []string {
	var scopes []string
	switch r.kind {
	case kindScopes:
		scopes = r.values
	case kindAll:
		for _, p := range r.parts {
			for _, s := range p.Scopes() {
				if !slices.Contains(scopes, s) {
					scopes = append(scopes, s)
				}
			}
		}
	case kindAny:
		scopes = r.parts[0].Scopes()
	}
	return slices.Clone(scopes)
}

// String describes r on one line, for a table of routes. Where a Guard lets
// preflights through ([Config.AllowPreflight]), the line of a [Route] ends in "or
// preflight".
func (r Requirement) String() string {
	s := r.describe()
	if r.anonymous {
		s += " or anonymous"
	}
	if r.preflight {
		s += " or preflight"
	}
	return s
}

func (r Requirement) describe() string {
	switch r.kind {
	case kindScopes:
		if len(r.values) == 0 {
			return "any valid token"
		}
		return "scope " + strings.Join(r.values, " ")
	case kindClaim:
		return fmt.Sprintf("claim %q in %q", r.claim, r.values)
	case kindACR:
		return "acr " + strings.Join(r.values, " ")
	case kindMaxAge:
		return fmt.Sprintf("max_age %d", int64(r.maxAge/time.Second))
	case kindAll:
		return list("all", r.parts)
	case kindAny:
		return list("any", r.parts)
	default:
		return "public"
	}
}

func list(name string, parts []Requirement) string {
	described := make([]string, len(parts))
	for i, p := range parts {
		described[i] = p.String()
	}
	return name + "(" + strings.Join(described, ", ") + ")"
}
