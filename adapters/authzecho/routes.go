package authzecho

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// errUnrecorded is the Err of a route that was not registered through Echo, so that
// the Recorder does not know its middlewares.
var errUnrecorded = errors.New("authzecho: route: it was added to the router directly, not through Echo or a Group")

// errMethods is the Err of a route for all methods whose requirements are not the
// same for each method.
var errMethods = errors.New("authzecho: route: its requirements depend on the method: register it for each method")

// errShadowed is the Err of a route that the router does not find any more.
var errShadowed = errors.New("authzecho: route: another route, with other names of parameters, answers its requests")

// Recorder finds out the requirements of the routes of an Echo. It is for tests,
// and not safe for concurrent use.
type Recorder struct {
	echo   *echo.Echo
	routes map[routeKey]echo.Route
	latest map[routeKey]routeKey // by method and shape: the route that was registered last
}

type routeKey struct{ method, path string }

func keyOf(method, path string) routeKey {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // as the router does
	}
	return routeKey{method, path}
}

// Record returns a Recorder of the routes that are registered with e from now on.
// It panics if e has routes already. A hook in [echo.Echo.OnAddRoute] is still
// called. A hook that is set later must call the one that it replaces.
//
// A route that replaces another one also replaces its row, unless the router
// refuses the route ([echo.RouterConfig.AllowOverwritingRoute]). To find that out,
// the Recorder adds the route to the router once before Echo does so. A route that
// is added to the router directly and replaces another one is not found.
func Record(e *echo.Echo) *Recorder {
	if e == nil {
		panic("authzecho: Record: nil Echo")
	}
	if len(e.Router().Routes()) > 0 {
		panic("authzecho: Record: there are routes already: call it right after echo.New")
	}
	r := &Recorder{echo: e, routes: map[routeKey]echo.Route{}, latest: map[routeKey]routeKey{}}
	earlier := e.OnAddRoute
	e.OnAddRoute = func(route echo.Route) error {
		if earlier != nil {
			if err := earlier(route); err != nil {
				return err
			}
		}
		if r.refused(route) {
			return nil // echo will get the same error from the router, and return it
		}
		// A copy: the router has read the slice by then, and the program may change it later.
		route.Middlewares = slices.Clone(route.Middlewares)
		key := keyOf(route.Method, route.Path)
		r.routes[key] = route
		r.latest[routeKey{key.method, shape(key.path)}] = key
		return nil
	}
	return r
}

// refused reports whether the router keeps an earlier route instead of this one.
// Only the router itself can decide that.
func (r *Recorder) refused(route echo.Route) bool {
	if _, err := r.echo.Router().Routes().FindByMethodPath(route.Method, route.Path); err != nil {
		return false // there is no earlier route
	}
	_, err := r.echo.Router().Add(route)
	return err != nil
}

// shape returns a pattern without the names of its parameters. Patterns with the
// same shape match the same paths. Literal colons in the result are escaped.
func shape(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		out.WriteByte(pattern[i])
		switch {
		case pattern[i] == '*':
			return out.String() // the router ignores the rest
		case pattern[i] == ':' && (i == 0 || pattern[i-1] != '\\'):
			for i+1 < len(pattern) && pattern[i+1] != '/' {
				i++
			}
		}
	}
	return out.String()
}

// Routes returns every route, in the order of registration, with the requirements
// of the Guards before its handler: those of Pre, of Use, of groups and of the
// route. No handler runs. The middlewares run, with a request that has no
// credentials. A middleware that answers the request does not hide those behind
// it.
//
// A middleware that calls a Guard itself runs some dozens of times: with each
// combination of refusals, and with requests that carry other credentials, a
// preflight, an upgrade, or the address of a proxy. The Err of the route reports it
// if the middleware continues although a Guard refuses, calls other Guards for such
// a request, or answers the request itself. No run can find a condition on anything
// else: a header field of the program's own, the value of a path parameter, the
// claims of the token, the time. Such a middleware is listed with the Guards that
// it calls for the request without credentials. Protect itself has no conditions.
// For alternatives, see [oauthz.RequireAny] and [oauthz.Any].
//
// A later route replaces an earlier one if their patterns differ only in the names
// of parameters. The Err of the earlier route reports it.
//
// A Guard inside an [http.Handler] that was passed to [echo.WrapHandler] is not
// found. A handler for paths without a route ([echo.Echo.RouteNotFound]) has the
// method "404". The answers of the router, 404 and 405, are not routes, even if
// [echo.RouterConfig] has handlers for them. If the requirements of a route for all
// methods are not the same for each method, its Err reports that.
func (r *Recorder) Routes() []oauthz.Route {
	var routes []oauthz.Route
	done := map[routeKey]bool{}
	for _, info := range r.echo.Router().Routes() {
		key := keyOf(info.Method, info.Path)
		recorded, seen := r.routes[key]
		if done[key] || seen && automatic(recorded) {
			continue
		}
		done[key] = true
		route := oauthz.Route{Method: info.Method, Pattern: key.path}
		switch info.Method {
		case echo.RouteAny:
			route.Method = oauthz.AnyMethod
		case echo.RouteNotFound:
			route.Method = "404"
		}
		switch {
		case !seen:
			route.Err = errUnrecorded
		case r.latest[routeKey{key.method, shape(key.path)}] != key:
			route.Err = errShadowed
		}
		info.Path = key.path
		var err error
		route.Guards, err = r.requirements(info, recorded.Middlewares)
		route.Err = cmp.Or(route.Err, err)
		routes = append(routes, route)
	}
	return routes
}

// automatic reports whether a group with middlewares added the route, so that they
// run for paths without a route.
func automatic(route echo.Route) bool {
	return route.Method == echo.RouteNotFound && route.Handler == nil
}

// requirements returns those of all Guards before a handler. The error is the
// reason why not every request to the handler must meet them, or nil.
func (r *Recorder) requirements(info echo.RouteInfo, middlewares []echo.MiddlewareFunc) (first []oauthz.Requirement, err error) {
	for i, method := range methods(info) {
		var doubt error
		met := probe.Requirements[oauthz.Requirement](probeRequest(info, method), 0, func(request *http.Request) {
			c := r.echo.NewContext(request, sealed{http.Header{}})
			walk(c, slices.Concat(r.echo.PreMiddlewares(), []echo.MiddlewareFunc{setRoute(info)}, r.echo.Middlewares(), middlewares), &doubt)
		})
		if i == 0 {
			first = met
		}
		switch {
		case doubt != nil:
			err = doubt
		case !slices.EqualFunc(first, met, func(a, b oauthz.Requirement) bool { return a.String() == b.String() }):
			err = cmp.Or(err, errMethods)
		}
	}
	return first, err
}

// methods returns the methods that a route answers, of those with a constant in
// net/http.
func methods(info echo.RouteInfo) []string {
	if info.Method != echo.RouteAny && info.Method != echo.RouteNotFound {
		return []string{info.Method}
	}
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}

// probeRequest returns a request for the route.
func probeRequest(info echo.RouteInfo, method string) *http.Request {
	request, err := http.NewRequest(http.MethodGet, "https://probe.invalid/", http.NoBody)
	if err != nil {
		panic(err) // the arguments are constants
	}
	request.Method = method
	request.URL.Path, request.RequestURI, request.RemoteAddr = info.Path, info.Path, "192.0.2.1:49152"
	return request
}

// setRoute returns a middleware that takes the place of the router, between the
// middlewares of Pre and those of Use. It always finds the same route, even if a
// middleware of Pre has changed the request.
func setRoute(info echo.RouteInfo) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			values := make(echo.PathValues, len(info.Parameters))
			for i, name := range info.Parameters {
				values[i] = echo.PathValue{Name: name, Value: name}
			}
			c.InitializeRoute(&info, &values)
			return next(c)
		}
	}
}

// walk runs the middlewares in their order, each around the rest. If a middleware
// does not call the rest, walk runs the rest after it. doubt becomes the first
// reason why a middleware may not enforce the Guards in it.
func walk(c *echo.Context, middlewares []echo.MiddlewareFunc, doubt *error) {
	if len(middlewares) == 0 {
		return
	}
	if err := enforced(c, middlewares[0]); err != nil && *doubt == nil {
		*doubt = err
	}
	called := false
	run(c, func(c *echo.Context) error {
		return middlewares[0](func(c *echo.Context) error {
			if !called { // a middleware may call the rest twice
				called = true
				walk(c, middlewares[1:], doubt)
			}
			return nil
		})(c)
	})
	if !called {
		walk(c, middlewares[1:], doubt)
	}
}

// enforced returns nil if a middleware lets a request through only if the Guards in
// it do, and otherwise the reason for the doubt. It restores c.
func enforced(c *echo.Context, middleware echo.MiddlewareFunc) error {
	if isProtect(middleware) {
		return nil // most middlewares with a Guard need no probe
	}
	request, response := c.Request(), c.Response()
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	err := probe.Enforced[oauthz.Requirement](request, func(request *http.Request) (reached bool) {
		c.SetRequest(request)
		c.SetResponse(echo.NewResponse(sealed{http.Header{}}, c.Logger()))
		run(c, func(c *echo.Context) error {
			return middleware(func(*echo.Context) error {
				reached = true
				return nil
			})(c)
		})
		return reached
	})
	if err != nil {
		return fmt.Errorf("authzecho: route: %w", err)
	}
	return nil
}

// isProtect reports whether middleware is one of Protect and nothing else.
func isProtect(middleware echo.MiddlewareFunc) bool {
	return reflect.ValueOf(middleware).Pointer() == reflect.ValueOf((&protection{}).before).Pointer()
}

// run calls h and recovers a panic: a middleware may need something that only a
// real request has.
func run(c *echo.Context, h echo.HandlerFunc) {
	defer func() { _ = recover() }()
	_ = h(c)
}
