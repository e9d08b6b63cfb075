package authzecho4

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// errAnswered is the Err of a route that the probe did not reach.
var errAnswered = errors.New("authzecho4: route: a middleware of Pre or Use answered the request, so the middlewares after it are not known: let it skip requests to probe.invalid")

// errMethods is the Err of a handler for paths that have no route, if its
// requirements are not the same for each method.
var errMethods = errors.New("authzecho4: route: its requirements depend on the method")

// errReplaced is the Err of a route whose handler was replaced in the router.
var errReplaced = errors.New("authzecho4: route: another handler was added to the router directly, not through Echo or a Group")

// errShadowed is the Err of a route that the router does not find any more.
var errShadowed = errors.New("authzecho4: route: another route, with other names of parameters, answers its requests")

// Recorder finds out the requirements of the routes of an Echo. It is for tests,
// and not safe for concurrent use.
type Recorder struct {
	echo   *echo.Echo
	keys   []routeKey // in the order of registration
	routes map[routeKey]route
	latest map[routeKey]routeKey // by host, method and shape: the route that was registered last
	probed *routeKey             // the route of the current probe, or nil

	echoHandler echo.HandlerFunc // a handler as Echo passes it to its router
	replaced    bool             // the router has another handler for the probed route
}

type routeKey struct{ host, method, path string }

// pattern returns the path with the host in front, as in a pattern of an
// [http.ServeMux].
func (k routeKey) pattern() string { return k.host + k.path }

type route struct {
	middlewares []echo.MiddlewareFunc
	automatic   bool // added by a group with middlewares, so that they run for paths without a route
}

// Record returns a Recorder of the routes that are registered with e from now on.
// It panics if e has routes already. A hook in [echo.Echo.OnAddRouteHandler] is
// still called. A hook that is set later must call the one that it replaces. Record
// adds to e a middleware that does something only while Routes runs.
func Record(e *echo.Echo) *Recorder {
	if e == nil {
		panic("authzecho4: Record: nil Echo")
	}
	if len(e.Routes()) > 0 || len(e.Routers()) > 0 {
		panic("authzecho4: Record: there are routes already: call it right after echo.New")
	}
	r := &Recorder{echo: e, routes: map[routeKey]route{}, latest: map[routeKey]routeKey{}}
	earlier := e.OnAddRouteHandler
	e.OnAddRouteHandler = func(host string, added echo.Route, handler echo.HandlerFunc, middlewares []echo.MiddlewareFunc) {
		if earlier != nil {
			earlier(host, added, handler, middlewares)
		}
		key := routeKey{host, added.Method, added.Path}
		if _, ok := r.routes[key]; !ok {
			r.keys = append(r.keys, key)
		}
		// Not a copy: echo reads the slice for each request, and the program may change it.
		r.routes[key] = route{middlewares, added.Method == echo.RouteNotFound && sameFunc(handler, echo.NotFoundHandler)}
		r.latest[routeKey{host, added.Method, shape(added.Path)}] = key
	}
	r.echoHandler = registeredHandler()
	e.Use(r.setRoute)
	return r
}

// registeredHandler returns a handler that Echo has passed to its router.
func registeredHandler() echo.HandlerFunc {
	e := echo.New()
	e.GET("/", echo.NotFoundHandler)
	c := e.NewContext(nil, nil)
	e.Router().Find(http.MethodGet, "/", c)
	return c.Handler()
}

// setRoute is the outermost middleware of Use. The path of a probe is the pattern
// of the probed route, for which the router may have found another route. If it has
// found the probed one, its handler must be one that Echo has registered.
func (r *Recorder) setRoute(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if r.probed != nil {
			r.replaced = r.replaced || c.Path() == r.probed.path && !sameFunc(c.Handler(), r.echoHandler)
			c.SetPath(r.probed.path)
		}
		return next(c)
	}
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

func sameFunc(a, b echo.HandlerFunc) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Routes returns every route, in the order of registration, with the requirements
// of the Guards before its handler: those of Pre, of Use, of groups and of the
// route. The pattern of a route for a host ([echo.Echo.Host]) begins with the host.
// No handler runs. The middlewares run, with a request that has no credentials, to
// probe.invalid or to the host of the route. A middleware of a group or a route that
// answers the request does not hide those behind it. A middleware of Pre or Use
// does, and the Err of the routes reports that.
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
// found. The routes of [echo.Echo.Any] are one route, if their requirements are the
// same. A handler for paths without a route ([echo.Echo.RouteNotFound]) has the
// method "404", and an Err if its requirements depend on the method. The answers of
// echo itself, 404 and 405, are not routes. A route that is added to an
// [echo.Router] directly is not listed. If it replaces a listed route, the Err of
// that route reports it.
//
// Routes adds to e a middleware that does nothing afterwards.
func (r *Recorder) Routes() []oauthz.Route {
	// The middlewares of Pre and Use can be reached only through ServeHTTP, which
	// ends at the handler. So one more middleware, the innermost, continues a probe
	// with the middlewares of the route, and does not call the handler. It does not
	// recognize a probe by the request, because a middleware may have replaced that.
	var behind func(echo.Context)
	r.echo.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if behind == nil {
				return next(c)
			}
			behind(c)
			return nil
		}
	})
	var routes []oauthz.Route
	present := r.present()
	for _, key := range r.keys {
		if r.routes[key].automatic || !present[key] {
			continue
		}
		route := r.route(key, &behind)
		if r.latest[routeKey{key.host, key.method, shape(key.path)}] != key {
			route.Err = errShadowed
		}
		routes = append(routes, route)
	}
	return foldAny(routes)
}

// present returns the routes that the routers have now. A second call of Echo.Host
// for the same host makes a new router without the routes of the old one.
func (r *Recorder) present() map[routeKey]bool {
	present := map[routeKey]bool{}
	add := func(host string, routes []*echo.Route) {
		for _, route := range routes {
			present[routeKey{host, route.Method, route.Path}] = true
		}
	}
	add("", r.echo.Routes())
	for host, router := range r.echo.Routers() {
		add(host, router.Routes())
	}
	return present
}

// route finds out the requirements of the Guards before a handler.
func (r *Recorder) route(key routeKey, behind *func(echo.Context)) oauthz.Route {
	if key.method != echo.RouteNotFound {
		return r.probe(key, key.method, behind)
	}
	found := r.probe(key, http.MethodGet, behind)
	for _, method := range methods() {
		if !equal(found, r.probe(key, method, behind)) && found.Err == nil {
			found.Err = errMethods
		}
	}
	found.Method = "404"
	return found
}

// probe finds out the requirements with one request. It sets behind to a function
// that runs the middlewares behind those of Pre and Use.
func (r *Recorder) probe(key routeKey, method string, behind *func(echo.Context)) oauthz.Route {
	found := oauthz.Route{Method: method, Pattern: key.pattern()}
	middlewares := r.routes[key].middlewares
	r.probed, r.replaced = &key, false
	defer func() { r.probed = nil }()
	found.Guards = probe.Requirements[oauthz.Requirement](probeRequest(key, method), 0, func(request *http.Request) {
		reached := false
		*behind = func(c echo.Context) {
			if !reached { // a middleware may call the rest twice
				reached = true
				walk(c, middlewares, &found.Err)
			}
		}
		defer func() { *behind = nil }()
		r.serve(request)
		if !reached {
			found.Err = errAnswered
			c := r.echo.NewContext(request, sealed{http.Header{}})
			c.SetPath(key.path)
			walk(c, middlewares, &found.Err)
		}
	})
	if err := r.enforced(probeRequest(key, method), behind); err != nil && found.Err != errAnswered {
		found.Err = err
	}
	if r.replaced {
		found.Err = errReplaced
	}
	return found
}

// methods returns the methods that [echo.Echo.Any] registers.
func methods() []string {
	var all []string
	for _, any := range echo.New().Any("/", echo.NotFoundHandler) {
		all = append(all, any.Method)
	}
	return all
}

// foldAny replaces the routes that [echo.Echo.Any] registers by one of
// oauthz.AnyMethod, if they have the same requirements.
func foldAny(routes []oauthz.Route) []oauthz.Route {
	methods := methods()
	groups := map[string][]oauthz.Route{} // by pattern: the routes with the requirements of the first
	for _, r := range routes {
		if group := groups[r.Pattern]; slices.Contains(methods, r.Method) && (len(group) == 0 || equal(group[0], r)) {
			groups[r.Pattern] = append(group, r)
		}
	}
	var out []oauthz.Route
	for _, r := range routes {
		group := groups[r.Pattern]
		switch {
		case len(group) < len(methods) || !slices.Contains(methods, r.Method):
			out = append(out, r)
		case r.Method == group[0].Method:
			r.Method = oauthz.AnyMethod
			out = append(out, r)
		}
	}
	return out
}

func equal(a, b oauthz.Route) bool {
	return fmt.Sprint(a.Err) == fmt.Sprint(b.Err) && slices.EqualFunc(a.Guards, b.Guards, func(a, b oauthz.Requirement) bool {
		return a.String() == b.String()
	})
}
