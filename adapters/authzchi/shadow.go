package authzchi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
)

var errShadowed = errors.New("authzchi: route: the router answers with another one, whose pattern matches the same paths")

// shadow puts an Err into the routes that the router does not find, since another one has taken their place: the row would
// not be that of the handler that serves.
func (w *walker) shadow() {
	for i := range w.routes {
		if r := &w.routes[i]; r.Err == nil && (w.isTaken(i) || w.isStray(r.Method, r.Pattern)) {
			r.Err = errShadowed
		}
	}
}

// isTaken reports whether a router that is mounted less deep has the same pattern: it is asked first.
func (w *walker) isTaken(i int) bool {
	r := w.routes[i]
	for j, other := range w.routes {
		if w.depths[j] < w.depths[i] && other.Pattern == r.Pattern && (other.Method == r.Method || other.Method == oauthz.AnyMethod) {
			return true
		}
	}
	return false
}

// isStray reports whether the router finds another pattern for paths that this one is for: one with other names of
// parameters, or one of an outer router that is more general.
func (w *walker) isStray(method, pattern string) bool {
	methods := []string{method}
	if method == oauthz.AnyMethod {
		methods = []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace,
		}
	}
	paths := samples(pattern)
	for _, method := range methods {
		strays := 0
		for _, path := range paths {
			if found := w.root.Find(chi.NewRouteContext(), method, path); found != "" && found != pattern {
				strays++
			}
		}
		if strays > 0 && strays == len(paths) {
			return true
		}
	}
	return false
}

// samples are paths that pattern matches. A more specific pattern may match one of them, but hardly all. A
// pattern with a regular expression has no samples: its row is believed.
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
