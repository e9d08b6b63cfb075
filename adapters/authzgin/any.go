package authzgin

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/oauthz/oauthz"
)

// anyMethods returns the methods that gin's Any registers.
func anyMethods() []string {
	return []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodHead,
		http.MethodOptions, http.MethodDelete, http.MethodConnect, http.MethodTrace,
	}
}

// foldAny replaces the nine routes that Any registers by one of oauthz.AnyMethod, if they have the same requirements.
func foldAny(routes []oauthz.Route) []oauthz.Route {
	equal := func(a, b oauthz.Route) bool {
		return a.Pattern == b.Pattern && fmt.Sprint(a.Err) == fmt.Sprint(b.Err) && slices.EqualFunc(a.Guards, b.Guards, sameRequirement)
	}
	methods := anyMethods()
	var folded []oauthz.Route
	for _, r := range routes {
		if !slices.Contains(methods, r.Method) {
			folded = append(folded, r)
			continue
		}
		n := 0
		for _, other := range routes {
			if equal(r, other) && slices.Contains(methods, other.Method) {
				n++
			}
		}
		switch {
		case n < len(methods):
			folded = append(folded, r)
		case r.Method == http.MethodGet:
			r.Method = oauthz.AnyMethod
			folded = append(folded, r)
		}
	}
	return folded
}

func sameRequirement(a, b oauthz.Requirement) bool { return a.String() == b.String() }
