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
	"github.com/oauthz/oauthz/internal/probe"
)

// Routes lists the routes of r by pattern and method, with the requirements of the Guards before their handlers: the Guards
// of Use, With, Group, Route and Mount, and those of a handler that [oauthz.Guard.Protect] returned. It is for tests, such as
// one with oauthztest.RouteTable. Call it after all routes are registered.
//
// No handler runs. Middleware runs a few times for each route and method, with a request that has the pattern as its path
// and no headers. A middleware that answers such a request, as basic authentication does, does not hide the Guards behind
// it. The handlers of NotFound and MethodNotAllowed are not routes.
//
// A middleware that calls a Guard itself runs some dozens of times: with each combination of refusals, and with requests
// that carry other credentials, a preflight, an upgrade, or the address of a proxy. The Err of the route reports it if the
// middleware continues although a Guard refuses, calls other Guards for such a request, or answers the request itself. No
// run can find a condition on anything else: a header field of the program's own, the value of a path parameter, the claims
// of the token, the time. Such a middleware is listed with the Guards that it calls for the request without headers. Protect
// itself has no conditions: write With(Protect(…)) where you can, and [oauthz.RequireAny] or [oauthz.Any] for alternatives.
//
// A later route can replace an earlier one: with another name of a parameter, or with a pattern that also matches the paths
// of a mounted router. The Err of the route that the router does not find reports it.
//
// A route for every method is one route, of [oauthz.AnyMethod]. Methods with other requirements are listed beside it. A
// mounted handler that is not a router is one route as well, and a Guard inside it is not found: write
// r.With(Protect(…)).Mount(pattern, handler), not r.Mount(pattern, Protect(…)(handler)).
func Routes(r chi.Routes) []oauthz.Route {
	w := walker{root: r}
	w.walk(r, "", nil, nil)
	w.markShadowed()
	slices.SortFunc(w.routes, func(a, b oauthz.Route) int {
		return cmp.Or(strings.Compare(a.Pattern, b.Pattern), strings.Compare(a.Method, b.Method),
			strings.Compare(fmt.Sprint(a.Guards), fmt.Sprint(b.Guards))) // the router returns them in random order
	})
	return w.routes
}

// walker visits a tree of routers. chi.Walk is not enough: it leaves out the routes for every method and those that were
// registered with the pattern of a mounted router, and it reports the middleware of an inline router for all routes of its
// tree.
type walker struct {
	root   chi.Routes
	routes []oauthz.Route
	depths []int // for each of routes, the number of routers around it
	depth  int
}

func (w *walker) list(route oauthz.Route) {
	w.routes, w.depths = append(w.routes, route), append(w.depths, w.depth)
}

// walk adds the routes of r, which is mounted at prefix behind outer. Requests with a method of replaced do not reach r:
// handlers with the pattern of the mount answer them.
func (w *walker) walk(r chi.Routes, prefix string, outer chi.Middlewares, replaced map[string]http.Handler) {
	routes := r.Routes()
	if len(routes) == 0 {
		return // before With is called: after a call of With a router does not accept Use
	}
	outer = slices.Concat(outer, ownMiddlewares(r))
	for _, route := range routes {
		pattern, handlers := strings.TrimSuffix(prefix, "/*")+route.Pattern, route.Handlers
		every, ok := handlers["*"]
		switch {
		case ok && route.SubRoutes != nil:
			inline, _ := unchained(every)
			w.depth++
			w.walk(route.SubRoutes, pattern, slices.Concat(outer, inline), merged(replaced, handlers))
			w.depth--
			w.add(pattern, handlers, outer, replaced, nil)
		case ok && len(replaced) == 0:
			all := w.probe(oauthz.AnyMethod, pattern, every, outer)
			w.list(all)
			w.add(pattern, handlers, outer, nil, &all)
		default:
			w.add(pattern, handlers, outer, replaced, nil)
		}
	}
}

// merged returns the handlers for single methods of a and of b.
func merged(a, b map[string]http.Handler) map[string]http.Handler {
	all := maps.Clone(b)
	maps.Copy(all, a)
	delete(all, "*")
	return all
}

// add adds the routes for single methods, except those with the same requirements as all, the route for every method.
func (w *walker) add(pattern string, handlers map[string]http.Handler, outer chi.Middlewares, replaced map[string]http.Handler, all *oauthz.Route) {
	for method, handler := range handlers {
		if method == "*" {
			continue
		}
		route := w.probe(method, pattern, handler, outer)
		if replaced[method] != nil {
			route.Err = errReplaced
		}
		if all == nil || !slices.EqualFunc(route.Guards, all.Guards, sameRequirement) || (route.Err == nil) != (all.Err == nil) {
			w.list(route)
		}
	}
}

var errReplaced = errors.New("authzchi: route: another handler with the pattern of the mounted router answers its requests")

func sameRequirement(a, b oauthz.Requirement) bool { return a.String() == b.String() }

// ownMiddlewares returns the middleware that r itself calls. An inline router, of With or Group, has middleware but calls
// none: its middleware is in the chains of the routes that were registered through it, and its tree has other routes too.
// Only an inline router passes its middleware on to the router that its own With returns.
func ownMiddlewares(r chi.Routes) chi.Middlewares {
	if router, ok := r.(chi.Router); ok && len(router.With().Middlewares()) > 0 {
		return nil
	}
	return r.Middlewares()
}

// unchained returns the middlewares that With and chi.Chain have put around a handler, and that handler.
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

// probe finds out the requirements of a route with the handler h behind outer.
func (w *walker) probe(method, pattern string, h http.Handler, outer chi.Middlewares) oauthz.Route {
	route := oauthz.Route{Method: method, Pattern: pattern}
	var found doubt
	for {
		inline, end := unchained(h)
		outer = slices.Concat(outer, inline)
		met := probe.Requirements[oauthz.Requirement](w.request(method, pattern), 0, func(r *http.Request) { through(outer, discard{http.Header{}}, r, &found) })
		route.Err = found.first()
		guards, inner := oauthz.Protected(end)
		route.Guards = slices.Concat(route.Guards, met, guards)
		if _, ok := inner.(*chi.ChainHandler); !ok {
			return route
		}
		outer, h = nil, inner
	}
}
