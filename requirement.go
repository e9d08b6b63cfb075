package oauthz

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Requirement describes what a route requires of a request. It is immutable and
// safe for concurrent use. The zero Requirement is Require(): any valid token.
//
// A mistake in a requirement, such as a scope that contains a space, is a mistake
// in the program. The functions that build a requirement therefore panic and name
// the mistake. Build requirements when the program starts: a function that builds
// one from the data of a request panics while it serves that request.
type Requirement struct {
	kind      kind
	claim     string        // of kindClaim
	values    []string      // the scopes, claim values or ACR values
	maxAge    time.Duration // of kindMaxAge
	parts     []Requirement // of kindAll and kindAny
	anonymous bool          // set by OrAnonymous
	preflight bool          // set for a Guard with AllowPreflight: see Guard.required
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

// Require returns a requirement that a token meets if it has all of scopes (RFC
// 6749 §3.3). Any valid token meets Require(). Require panics if one of scopes is
// empty or is not a scope-token.
func Require(scopes ...string) Requirement {
	return Requirement{kind: kindScopes, values: mustBeValid("Require", "scope", scopes, isScopeToken)}
}

// RequireAny returns a requirement that a token meets if it has at least one of
// scopes (RFC 6749 §3.3): [Any] of the [Require] of each. It panics if there are no
// scopes, or if one is empty or is not a scope-token.
func RequireAny(scopes ...string) Requirement {
	mustNotBeEmpty("RequireAny", scopes)
	mustBeValid("RequireAny", "scope", scopes, isScopeToken)
	parts := make([]Requirement, len(scopes))
	for i, s := range scopes {
		parts[i] = Require(s)
	}
	return Any(parts...)
}

// RequireClaim returns a requirement that a token meets if the claim called name
// is a string and one of values, or is an array that contains such a string. The
// name is exact, not a path: "a.b" is the claim called a.b. RequireClaim panics if
// the name or one of values is empty, or if there are no values.
func RequireClaim(name string, values ...string) Requirement {
	if name == "" {
		panic("oauthz: RequireClaim: no name")
	}
	mustNotBeEmpty("RequireClaim", values)
	return Requirement{kind: kindClaim, claim: name, values: mustBeValid("RequireClaim", "value", values, func(s string) bool { return s != "" })}
}

// RequireACR returns a requirement that a token meets if the user logged in with
// one of these authentication context classes (claim acr). Otherwise the challenge
// requests a new login with acr_values (RFC 9470 §3). RequireACR panics if there are
// no values, or if one is empty or has a space, a quote, a backslash or a character
// that is not printable ASCII.
func RequireACR(values ...string) Requirement {
	mustNotBeEmpty("RequireACR", values)
	return Requirement{kind: kindACR, values: mustBeValid("RequireACR", "value", values, isScopeToken)}
}

// RequireMaxAge returns a requirement that a token meets if the user logged in
// (claim auth_time) no longer than d ago. Otherwise the challenge requests a new
// login with max_age (RFC 9470 §3), which is in seconds. RequireMaxAge panics if d
// is not a positive whole number of seconds.
func RequireMaxAge(d time.Duration) Requirement {
	if d < time.Second || d%time.Second != 0 {
		panic(fmt.Sprintf("oauthz: RequireMaxAge: %v is not a positive number of seconds", d))
	}
	return Requirement{kind: kindMaxAge, maxAge: d}
}

// All returns a requirement that is met if all of reqs are met. Any valid token
// meets All().
func All(reqs ...Requirement) Requirement {
	return Requirement{kind: kindAll, parts: slices.Clone(reqs)}
}

// Any returns a requirement that is met if at least one of reqs is met. It panics
// if there are no reqs, because no token could meet it.
func Any(reqs ...Requirement) Requirement {
	if len(reqs) == 0 {
		panic("oauthz: Any: no requirements, so no token could meet it")
	}
	return Requirement{kind: kindAny, parts: slices.Clone(reqs)}
}

// Public returns a requirement that every request meets. The Guard does not look
// at its credentials. Public records in the code that a route is open on purpose.
func Public() Requirement { return Requirement{kind: kindPublic} }

// OrAnonymous returns a copy of r that a request without credentials meets too:
// its handler finds no token in the context. A bad token is still refused.
func (r Requirement) OrAnonymous() Requirement {
	r.anonymous = true
	return r
}

// mustNotBeEmpty panics if there are no values.
func mustNotBeEmpty(function string, values []string) {
	if len(values) == 0 {
		panic("oauthz: " + function + ": no values")
	}
}

// mustBeValid returns a copy of values without repetitions. It panics if one of
// values is not valid.
func mustBeValid(function, what string, values []string, valid func(string) bool) []string {
	var out []string
	for _, v := range values {
		if !valid(v) {
			panic(fmt.Sprintf("oauthz: %s: %s %q is empty or has an invalid character", function, what, v))
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// Scopes returns the scopes that a client should request (RFC 6750 §3): all that r
// requires, and of an [Any] those that its first alternative requires.
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

// String describes r on one line, for a table of routes. If the Guard of a [Route]
// lets preflights through ([Config.AllowPreflight]), the line ends in "or
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

// describe returns the line of [Requirement.String] without its exceptions.
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
		return describeList("all", r.parts)
	case kindAny:
		return describeList("any", r.parts)
	default:
		return "public"
	}
}

// describeList returns the line of an All or an Any.
func describeList(name string, parts []Requirement) string {
	described := make([]string, len(parts))
	for i, p := range parts {
		described[i] = p.String()
	}
	return name + "(" + strings.Join(described, ", ") + ")"
}
