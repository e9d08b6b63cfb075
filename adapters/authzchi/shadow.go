package authzchi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
)

var errShadowed = errors.New("authzchi: route: another route, whose pattern matches the same paths, answers its requests")

// markShadowed sets the Err of the routes that the router does not find because another route replaces them: otherwise the
// table would have requirements that the handler of the requests does not have.
func (w *walker) markShadowed() {
	for i := range w.routes {
		if r := &w.routes[i]; r.Err == nil && (w.isReplaced(i) || w.isShadowed(r.Method, r.Pattern)) {
			r.Err = errShadowed
		}
	}
}

// isReplaced reports whether a router that is mounted less deep has the same pattern: chi looks there first.
func (w *walker) isReplaced(i int) bool {
	r := w.routes[i]
	for j, other := range w.routes {
		if w.depths[j] < w.depths[i] && other.Pattern == r.Pattern && (other.Method == r.Method || other.Method == oauthz.AnyMethod) {
			return true
		}
	}
	return false
}

// isShadowed reports whether the router finds another pattern for paths that this pattern matches: one with other names of
// parameters, or a more general one of an outer router.
func (w *walker) isShadowed(method, pattern string) bool {
	methods := []string{method}
	if method == oauthz.AnyMethod {
		methods = []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace,
		}
	}
	paths := samples(pattern)
	for _, method := range methods {
		others := 0
		for _, path := range paths {
			if found := w.root.Find(chi.NewRouteContext(), method, path); found != "" && found != pattern {
				others++
			}
		}
		if others > 0 && others == len(paths) {
			return true
		}
	}
	return false
}

// samples returns paths that pattern matches. A more specific pattern may match one of them, but is unlikely to match all. A
// pattern with a regular expression has no samples, so such a route is never reported as shadowed.
func samples(pattern string) []string {
	var paths []string
	for _, values := range [][2]string{{"7", "7"}, {"oauthz~probe", "oauthz~probe"}, {"~", ""}, {"7~", "7/~"}, {"~7", "~/7/~/oauthz/~/probe"}} {
		path := ""
		for rest := pattern; rest != ""; {
			literal, parameter, found := strings.Cut(rest, "{")
			path += strings.Replace(literal, "*", values[1], 1)
			if !found {
				break
			}
			name, after, _ := strings.Cut(parameter, "}")
			if strings.Contains(name, ":") {
				return nil
			}
			path, rest = path+values[0], after
		}
		paths = append(paths, path)
	}
	return paths
}
