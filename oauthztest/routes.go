package oauthztest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/oauthz/oauthz"
)

// RouteTable returns a table with one line for each route, METHOD PATTERN REQUIREMENT, sorted by pattern and then method. A
// reviewer reads there the requirement of every route. Keep it as a file, with [Golden].
//
// RouteTable fails t, with the method and pattern, for a route that no Guard protects: a route that is open on purpose
// requires [oauthz.Public]. It also fails t for a route that is listed twice with different requirements, and for a route
// whose requirements are not known.
//
// The routes come from the adapter for the framework (authzchi.Routes, and Record of authzgin, authzecho and authzecho4), or
// from a [Mux]. No handler runs.
func RouteTable(t testing.TB, routes []oauthz.Route) string {
	t.Helper()
	if len(routes) == 0 {
		t.Error("oauthztest: RouteTable: no routes: register them before you list them")
	}
	routes = slices.Clone(routes)
	slices.SortStableFunc(routes, func(a, b oauthz.Route) int {
		return cmp.Or(strings.Compare(a.Pattern, b.Pattern), strings.Compare(a.Method, b.Method))
	})
	var lines []string
	for i, r := range routes {
		line := fmt.Sprintf("%-7s %-31s %s\n", oneWord(r.Method), oneWord(r.Pattern), required(t, r))
		switch {
		case i == 0 || r.Method != routes[i-1].Method || r.Pattern != routes[i-1].Pattern:
			lines = append(lines, line)
		case line != lines[len(lines)-1]:
			t.Errorf("%s %s: the route is listed twice, with different requirements: it is not known which of them serves", r.Method, r.Pattern)
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// oneWord quotes s if it is not one word of a line.
func oneWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// required returns the last column of a line.
func required(t testing.TB, r oauthz.Route) string {
	t.Helper()
	req, protected := r.Combined()
	switch {
	case r.Err != nil:
		t.Errorf("%s %s: the requirements are not known: %v", r.Method, r.Pattern, r.Err)
		return "unknown"
	case !protected:
		t.Errorf("%s %s: no Guard protects this route: put one before its handler, with oauthz.Public() if the route is open on purpose", r.Method, r.Pattern)
		return "NOT PROTECTED"
	default:
		return req.String()
	}
}

// updateVariable is the environment variable that makes Golden write its files.
const updateVariable = "OAUTHZTEST_UPDATE"

// Golden fails t, with the lines that differ, if the content of file is not got. With OAUTHZTEST_UPDATE=1 in the environment
// it writes the file instead. The lines of the file may end in CR LF, as git writes them on Windows.
func Golden(t testing.TB, file, got string) {
	t.Helper()
	if os.Getenv(updateVariable) == "1" {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v (%s=1 go test writes it)", err, updateVariable)
	}
	if want := strings.ReplaceAll(string(content), "\r\n", "\n"); got != want {
		t.Errorf("%s differs (if that is intended, %s=1 go test writes it again):\n%s", file, updateVariable, difference(want, got))
	}
}

// difference returns the lines that only one of the two has. All lines of a table are different.
func difference(want, got string) string {
	was, is := slices.Collect(strings.Lines(want)), slices.Collect(strings.Lines(got))
	var lines strings.Builder
	for _, line := range was {
		if !slices.Contains(is, line) {
			fmt.Fprintf(&lines, "- %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			fmt.Fprintf(&lines, "+ %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	if lines.Len() == 0 {
		return "the same lines, in another order or number\n"
	}
	return lines.String()
}

// Mux records the routes that a program registers. It accepts the patterns of an [http.ServeMux] and serves as one does. So a
// test can pass a Mux to a program that registers its routes through an interface with the methods that it needs:
//
//	type router interface {
//		Handle(pattern string, handler http.Handler)
//	}
//
//	func routes(mux router, guard *oauthz.Guard) {
//		mux.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(list)))
//	}
//
// A Mux finds a Guard if it is the outermost handler of the route, or stands directly behind another Guard. The zero value is
// ready to use. Like a ServeMux it is safe for concurrent use after all routes are registered.
type Mux struct {
	mux    http.ServeMux // not embedded: a route registered directly with it would be served, and not listed
	routes []muxRoute
}

type muxRoute struct {
	pattern string
	handler http.Handler
}

// Handle registers handler as [http.ServeMux.Handle] does.
func (m *Mux) Handle(pattern string, handler http.Handler) {
	m.mux.Handle(pattern, handler)
	m.routes = append(m.routes, muxRoute{pattern, handler})
}

// HandleFunc registers handler as [http.ServeMux.HandleFunc] does: without protection.
func (m *Mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.mux.HandleFunc(pattern, handler)
	m.routes = append(m.routes, muxRoute{pattern, http.HandlerFunc(handler)})
}

// ServeHTTP serves as [http.ServeMux.ServeHTTP] does.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// Routes returns the registered routes. A route whose handler is another Mux, protected or not, is replaced by the routes of
// that inner Mux, with the requirements of the outer one first. If the outer Mux answers all requests for a route of the
// inner one with another route, the Err of that route reports it.
func (m *Mux) Routes() []oauthz.Route { return m.below(nil, nil) }

// group is a route that leads to another Mux.
type group struct {
	mux     *Mux
	pattern string
}

func (m *Mux) below(required []oauthz.Requirement, outer []group) []oauthz.Route {
	var routes []oauthz.Route
	for _, r := range m.routes {
		requirements, inner := oauthz.Protected(r.handler)
		requirements = slices.Concat(required, requirements)
		if sub, ok := inner.(*Mux); ok {
			routes = append(routes, sub.below(requirements, slices.Concat(outer, []group{{m, r.pattern}}))...)
			continue
		}
		method, pattern := split(r.pattern)
		route := oauthz.Route{Method: method, Pattern: pattern, Guards: requirements}
		if slices.ContainsFunc(outer, func(g group) bool { return g.shadows(method, pattern) }) {
			route.Err = errShadowed
		}
		routes = append(routes, route)
	}
	return routes
}

var errShadowed = errors.New("oauthztest: Mux: another route, of an outer Mux, answers its requests")

// split returns the two parts of the pattern of an [http.ServeMux].
func split(pattern string) (method, rest string) {
	space := strings.IndexAny(pattern, " \t")
	if space < 0 {
		return oauthz.AnyMethod, pattern
	}
	return cmp.Or(pattern[:space], oauthz.AnyMethod), strings.TrimLeft(pattern[space:], " \t")
}

// shadows reports whether the Mux of this group answers every request for a route below the group with another route.
func (g group) shadows(method, pattern string) bool {
	outerMethod, outerPattern := split(g.pattern)
	if method == oauthz.AnyMethod {
		method = outerMethod
	}
	if method == oauthz.AnyMethod {
		method = http.MethodGet
	}
	host, path, _ := strings.Cut(pattern, "/")
	outerHost, _, _ := strings.Cut(outerPattern, "/")
	for _, sample := range samples("/" + path) {
		r := &http.Request{Method: method, Host: cmp.Or(host, outerHost, "example.com"), URL: &url.URL{Path: sample}}
		if _, found := g.mux.mux.Handler(r); found == g.pattern || found == "" {
			return false
		}
	}
	return true
}

// samples returns paths that pattern matches. A more specific pattern may match one of them, but is unlikely to match all.
func samples(pattern string) []string {
	pattern = strings.TrimSuffix(pattern, "{$}")
	var paths []string
	for _, values := range [][2]string{{"7", "7"}, {"oauthz~probe", "oauthz~probe"}, {"7~", "7/~"}, {"~7", "~/7/~/oauthz/~/probe"}} {
		var path strings.Builder
		for rest := pattern; rest != ""; {
			literal, parameter, found := strings.Cut(rest, "{")
			path.WriteString(literal)
			if !found {
				break
			}
			name, after, _ := strings.Cut(parameter, "}")
			if strings.HasSuffix(name, "...") {
				path.WriteString(values[1])
			} else {
				path.WriteString(values[0])
			}
			rest = after
		}
		paths = append(paths, path.String())
		if strings.HasSuffix(pattern, "/") {
			paths = append(paths, path.String()+values[1])
		}
	}
	return paths
}
