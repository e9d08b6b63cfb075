package oauthz

import (
	"errors"
	"slices"
	"strings"
)

// Scopes are the scopes of a token (RFC 6749 §3.3). They are compared byte for
// byte, with case.
type Scopes []string

// maxScopes bounds the scopes of one token; no route needs so many.
const maxScopes = 4096

// ParseScopes returns the scopes of a scope string (RFC 6749 §3.3): scope tokens
// separated by spaces. It tolerates repeated spaces, and spaces at the ends. It
// returns an error if s has any other character that is not in the grammar, or more
// than 4096 scopes.
func ParseScopes(s string) (Scopes, error) {
	scopes, ok := splitScopes(s)
	if !ok {
		return nil, errors.New("oauthz: scope: character outside RFC 6749 §3.3, or too many scopes")
	}
	return scopes, nil
}

// splitScopes returns the scope tokens of s. ok is false if a part of s is not a
// scope token, or if there are more than maxScopes; these are left out.
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

// isScopeToken reports whether s is a scope-token (RFC 6749 §3.3):
// 1*( %x21 / %x23-5B / %x5D-7E ).
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7E || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// Has reports whether s contains scope, byte for byte.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// String returns the scopes joined with spaces, as in the claim scope (RFC 8693
// §4.2).
func (s Scopes) String() string { return strings.Join(s, " ") }
