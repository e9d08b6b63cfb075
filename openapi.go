package oauthz

import (
	"fmt"
	"slices"
	"strings"
)

// maxAlternatives is the maximum number of alternatives that a document lists for one
// route. An All of a few Anys multiplies their alternatives, and a list of hundreds has
// no reader.
const maxAlternatives = 64

// SecurityScheme is a Security Scheme Object of an OpenAPI document (OpenAPI
// 3.1 §4.8.27) for an HTTP authentication scheme. It is plain data.
type SecurityScheme struct {
	Type        string `json:"type"`        // "http"
	Scheme      string `json:"scheme"`      // "bearer" (RFC 6750 §2.1)
	Description string `json:"description"` // for the reader of the document
}

// OpenAPI returns the Security Scheme Object of g (OpenAPI 3.1 §4.8.27), which a
// document has under components/securitySchemes: bearer tokens, the realm, and, if
// [Config.ResourceMetadataURL] is set, the URL of the protected resource metadata (RFC
// 9728 §3). It has no bearerFormat, because only introspectors know the format of a
// token.
//
// A document may have an object of type openIdConnect (with openIdConnectUrl) or
// oauth2 (with flows) in its place. Only that object changes then: the result of
// [Requirement.OpenAPI] is the same for all three. OpenAPI is safe for concurrent use.
func (g *Guard) OpenAPI() SecurityScheme {
	description := fmt.Sprintf("An OAuth 2.0 access token in the Authorization header (RFC 6750), for the realm %q.", g.realm)
	if g.resourceMetadataURL != "" {
		description += " Who issues them: " + g.resourceMetadataURL + " (RFC 9728)."
	}
	return SecurityScheme{Type: "http", Scheme: "bearer", Description: description}
}

// OpenAPI returns r as the security field of an Operation Object (OpenAPI 3.1
// §4.8.10): a list of Security Requirement Objects (§4.8.30), one of which must be
// met. Each has the scopes of one alternative under scheme, which is the name of a
// Security Scheme Object in components/securitySchemes (§4.8.7), such as that of
// [Guard.OpenAPI]. (OpenAPI 3.0 allows scopes only for the types oauth2 and
// openIdConnect.)
//
// A requirement that is [Public] is an empty list, never null, which overrides the
// security field of the whole document. A requirement that lets requests without
// credentials through has {} as its last alternative. So has a requirement that lets
// preflights through (the requirement of a [Route] for OPTIONS or AnyMethod).
// Alternatives and scopes have the order in which they were written. The same set of
// scopes is listed once.
//
// OpenAPI cannot express claims, nor how and when a user logged in: [RequireClaim],
// [RequireACR] and [RequireMaxAge] are left out, and an alternative lists only its
// scopes. A document may therefore list less than is required (a token that has the
// scopes may still be refused), never more.
//
// It returns an error if scheme is not a valid name of a component, if there are more
// than 64 alternatives (of r, of a part of it, or of some parts of an All together), or
// if one has more than 4096 scopes, which is more than [ParseToken] lets a token have.
// It is safe for concurrent use.
func (r Requirement) OpenAPI(scheme string) ([]map[string][]string, error) {
	if !isComponentName(scheme) {
		return nil, fmt.Errorf("oauthz: openapi: scheme %q: want a component name that matches ^[a-zA-Z0-9._-]+$", scheme)
	}
	security := []map[string][]string{}
	if r.isPublic() {
		return security, nil
	}
	var found alternatives
	if err := found.collect(r); err != nil {
		return nil, err
	}
	for _, set := range found {
		scopes := append([]string{}, set.scopes...) // a copy, which is [] and not null if it is empty
		security = append(security, map[string][]string{scheme: scopes})
	}
	if r.allowsWithoutToken(true) {
		security = append(security, map[string][]string{})
	}
	return security, nil
}

// isComponentName reports whether s is a valid key of components (OpenAPI 3.1 §4.8.7).
func isComponentName(s string) bool {
	const valid = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(valid, r) })
}

// scopeSet is a set of scopes. Its slices may be shared, so they are only read.
type scopeSet struct {
	scopes []string // in the order in which they were first named
	sorted []string // the same scopes, for comparison
}

func newScopeSet(scopes []string) scopeSet {
	return scopeSet{scopes: scopes, sorted: slices.Sorted(slices.Values(scopes))}
}

// union returns the scopes of s, then those that only t has.
func (s scopeSet) union(t scopeSet) scopeSet {
	var more []string
	for _, scope := range t.scopes {
		if _, found := slices.BinarySearch(s.sorted, scope); !found {
			more = append(more, scope)
		}
	}
	if len(more) == 0 {
		return s
	}
	sorted := slices.Concat(s.sorted, more)
	slices.Sort(sorted)
	return scopeSet{scopes: slices.Concat(s.scopes, more), sorted: sorted}
}

// alternatives are sets of scopes, each of which is sufficient. No set is in the list
// twice, whatever the order of its scopes.
type alternatives []scopeSet

// add appends a set and checks the bounds. Intermediate results go through add too, so
// that an All stops at the first alternative that is one too many, and not after all of
// its parts have been multiplied.
func (a *alternatives) add(set scopeSet) error {
	switch {
	case len(set.scopes) > maxScopes:
		return fmt.Errorf("oauthz: openapi: more than %d scopes in an alternative", maxScopes)
	case slices.ContainsFunc(*a, func(s scopeSet) bool { return slices.Equal(s.sorted, set.sorted) }):
		return nil
	case len(*a) == maxAlternatives:
		return fmt.Errorf("oauthz: openapi: more than %d alternatives", maxAlternatives)
	}
	*a = append(*a, set)
	return nil
}

// collect appends the alternatives of r.
func (a *alternatives) collect(r Requirement) error {
	switch r.kind {
	case kindScopes:
		return a.add(newScopeSet(r.values))
	case kindAny:
		for _, p := range r.parts {
			if err := a.collect(p); err != nil {
				return err
			}
		}
		return nil
	case kindAll:
		product, err := multiply(factors(nil, r))
		if err != nil {
			return err
		}
		for _, set := range product {
			if err := a.add(set); err != nil {
				return err
			}
		}
		return nil
	default: // OpenAPI cannot express it, so a token with any scopes is listed
		return a.add(scopeSet{})
	}
}

// factors appends the requirements that must all be met for r. The parts of an All
// within an All are appended one by one.
func factors(list []Requirement, r Requirement) []Requirement {
	if r.kind != kindAll {
		return append(list, r)
	}
	for _, p := range r.parts {
		list = factors(list, p)
	}
	return list
}

// multiply returns one alternative for each way to choose one of every factor. It
// divides the factors in halves: if it went from one to the next, it would copy a set
// once for each scope in it.
func multiply(factors []Requirement) (product alternatives, err error) {
	switch len(factors) {
	case 0:
		return alternatives{{}}, nil
	case 1:
		err = product.collect(factors[0])
		return product, err
	}
	left, err := multiply(factors[:len(factors)/2])
	if err != nil {
		return nil, err
	}
	right, err := multiply(factors[len(factors)/2:])
	if err != nil {
		return nil, err
	}
	for _, set := range left {
		for _, other := range right {
			if err := product.add(set.union(other)); err != nil {
				return nil, err
			}
		}
	}
	return product, nil
}
