package authzchi

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
)

// Routes lists the routes of r with what the Guards before their handlers require, by pattern and method: those of Use,
// With, Group, Route and Mount, and of a handler that [oauthz.Guard.Protect] made. It is for tests, such as one of
// oauthztest.RouteTable; call it when all is registered.
//
// No handler runs, but middleware does, a few times for each route and method, with a request that has the pattern as its
// path and no headers. A middleware that answers such a request, as basic authentication does, hides no Guard behind it. The
// handlers of NotFound and MethodNotAllowed are not routes.
//
// A middleware that asks a Guard itself runs some dozens of times: with each combination of refusals, and with requests
// that carry other credentials, a preflight, an upgrade, or the address of a proxy. If it goes on when a Guard refuses, if
// other Guards are then asked, or if it answers by itself, the Err of the route reports it. No run can show a condition on
// anything else: a header field of the program's own, the value of a path parameter, the claims of the token, the time.
// Such a middleware is listed with the Guards that it asks about the request above. Protect itself has no conditions: write
// With(Protect(…)) where you can, and [oauthz.RequireAny] or [oauthz.Any] for alternatives.
//
// Where another route has taken the place of one, by another name of a parameter or before a mounted router, the Err of the
// one that is not found reports it.
//
// A route for every method is one route, of [oauthz.AnyMethod]; methods of which something else is required are listed
// beside it. A mounted handler that is no router is one route as well, and Guards of its own are not seen: write
// r.With(Protect(…)).Mount instead of r.Mount of what Protect made.
func Routes(r chi.Routes) []oauthz.Route {
	w := walker{root: r}
	w.walk(r, "", nil, nil)
	w.shadow()
	slices.SortFunc(w.routes, func(a, b oauthz.Route) int {
		return cmp.Or(strings.Compare(a.Pattern, b.Pattern), strings.Compare(a.Method, b.Method),
			strings.Compare(fmt.Sprint(a.Requirements), fmt.Sprint(b.Requirements))) // the router has them in random order
	})
	return w.routes
}

// walker goes through a tree of routers. chi.Walk does not serve here: it tells nothing of routes for every method, nor
// of those that were registered on the pattern of a mounted router, and takes the middleware of inline routers for
// that of all their routes.
type walker struct {
	root   chi.Routes
	routes []oauthz.Route
	depths []int // of each of routes: how many routers it is mounted in
	depth  int
}

func (w *walker) list(route oauthz.Route) {
	w.routes, w.depths = append(w.routes, route), append(w.depths, w.depth)
}

// walk adds the routes of r, which is mounted at prefix behind outer. Requests with the methods in taken may not reach it:
// handlers at the same pattern answer them.
func (w *walker) walk(r chi.Routes, prefix string, outer chi.Middlewares, taken map[string]http.Handler) {
	routes := r.Routes()
	if len(routes) == 0 {
		return // and leave r alone: With would be the end of Use
	}
	outer = slices.Concat(outer, used(r))
	for _, route := range routes {
		pattern, handlers := strings.TrimSuffix(prefix, "/*")+route.Pattern, route.Handlers
		every, ok := handlers["*"]
		switch {
		case ok && route.SubRoutes != nil:
			inline, _ := unchained(every)
			w.depth++
			w.walk(route.SubRoutes, pattern, slices.Concat(outer, inline), both(taken, handlers))
			w.depth--
			w.add(pattern, handlers, outer, taken, nil)
		case ok && len(taken) == 0:
			all := w.ask(oauthz.AnyMethod, pattern, every, outer)
			w.list(all)
			w.add(pattern, handlers, outer, nil, &all)
		default:
			w.add(pattern, handlers, outer, taken, nil)
		}
	}
}

// both has the handlers for single methods of a and of b.
func both(a, b map[string]http.Handler) map[string]http.Handler {
	merged := maps.Clone(b)
	maps.Copy(merged, a)
	delete(merged, "*")
	return merged
}

// add adds the routes for single methods, but those of which the same is required as of all.
func (w *walker) add(pattern string, handlers map[string]http.Handler, outer chi.Middlewares, taken map[string]http.Handler, all *oauthz.Route) {
	for method, handler := range handlers {
		if method == "*" {
			continue
		}
		route := w.ask(method, pattern, handler, outer)
		if taken[method] != nil {
			route.Err = errTaken
		}
		if all == nil || !slices.EqualFunc(route.Requirements, all.Requirements, alike) || (route.Err == nil) != (all.Err == nil) {
			w.list(route)
		}
	}
}

var errTaken = errors.New("authzchi: route: another handler, at the pattern of the mounted router, answers in its place")

func alike(a, b oauthz.Requirement) bool { return a.String() == b.String() }

// used is the middleware that r itself calls. An inline router, of With or Group, has middleware but calls none: that is in
// the chains of the routes that were registered through it, which are not all of its tree. Only an inline router hands its
// middleware on to what its own With makes.
func used(r chi.Routes) chi.Middlewares {
	if router, ok := r.(chi.Router); ok && len(router.With().Middlewares()) > 0 {
		return nil
	}
	return r.Middlewares()
}

// unchained takes apart what With and chi.Chain have put together.
func unchained(h http.Handler) (chi.Middlewares, http.Handler) {
	var outer chi.Middlewares
	for {
		chain, ok := h.(*chi.ChainHandler)
		if !ok {
			return outer, h
		}
		outer, h = slices.Concat(outer, chain.Middlewares), chain.Endpoint
	}
}

// ask finds out what is required of a route with the handler h behind outer.
func (w *walker) ask(method, pattern string, h http.Handler, outer chi.Middlewares) oauthz.Route {
	route := oauthz.Route{Method: method, Pattern: pattern}
	var found doubts
	for {
		inline, end := unchained(h)
		outer = slices.Concat(outer, inline)
		met := oauthz.Probe(w.request(method, pattern), 0, func(r *http.Request) { through(outer, discard{http.Header{}}, r, &found) })
		route.Err = found.first()
		guards, inner := oauthz.Protected(end)
		route.Requirements = slices.Concat(route.Requirements, met, guards)
		if _, ok := inner.(*chi.ChainHandler); !ok {
			return route
		}
		outer, h = nil, inner
	}
}
