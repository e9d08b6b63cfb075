package authzchi

import (
	"cmp"
	"fmt"
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
// No handler runs, but middleware does, once for each route and method, with a request that has the pattern as its path
// and no headers. What answers that by itself, as basic authentication does, hides no Guard that is behind it.
//
// A route for every method is one route, of [oauthz.AnyMethod]; methods of which something else is required are listed
// beside it. A mounted handler that is no router is one route as well, and Guards of its own are not seen: write
// r.With(Protect(…)).Mount instead of r.Mount of what Protect made.
func Routes(r chi.Routes) []oauthz.Route {
	w := walker{root: r}
	w.walk(r, "", nil)
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
}

// walk adds the routes of r, which is mounted at prefix behind outer.
func (w *walker) walk(r chi.Routes, prefix string, outer chi.Middlewares) {
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
			w.walk(route.SubRoutes, pattern, slices.Concat(outer, inline))
			w.add(pattern, handlers, outer, nil)
		case ok:
			all := w.ask(oauthz.AnyMethod, pattern, every, outer)
			w.routes = append(w.routes, all)
			w.add(pattern, handlers, outer, &all)
		default:
			w.add(pattern, handlers, outer, nil)
		}
	}
}

// add adds the routes for single methods, but those of which the same is required as of all.
func (w *walker) add(pattern string, handlers map[string]http.Handler, outer chi.Middlewares, all *oauthz.Route) {
	for method, handler := range handlers {
		if method == "*" {
			continue
		}
		route := w.ask(method, pattern, handler, outer)
		if all == nil || !slices.EqualFunc(route.Requirements, all.Requirements, alike) {
			w.routes = append(w.routes, route)
		}
	}
}

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
	for {
		inline, end := unchained(h)
		outer = slices.Concat(outer, inline)
		met := oauthz.Probe(w.request(method, pattern), 0, func(r *http.Request) { through(outer, discard{http.Header{}}, r) })
		guards, inner := oauthz.Protected(end)
		route.Requirements = slices.Concat(route.Requirements, met, guards)
		if _, ok := inner.(*chi.ChainHandler); !ok {
			return route
		}
		outer, h = nil, inner
	}
}
