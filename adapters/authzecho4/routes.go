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
)

// errAnswered is the Err of a route that the probe did not get to.
var errAnswered = errors.New("authzecho4: a middleware of Pre or Use answered by itself, and hides those behind it: let it skip requests to probe.invalid")

// errMethods is the Err of a handler for paths that have no route, if not all
// methods are treated alike.
var errMethods = errors.New("authzecho4: what it requires depends on the method")

// errReplaced is the Err of a route whose handler the router has no more.
var errReplaced = errors.New("authzecho4: the router was given another handler directly, not through Echo or a Group")

// errTaken is the Err of a route that the router does not find any more.
var errTaken = errors.New("authzecho4: another route, with other names of parameters, answers in its place")

// Recorder knows the routes of an Echo. It is for tests, and not safe for
// concurrent use.
type Recorder struct {
	echo   *echo.Echo
	keys   []routeKey // in the order of registration
	routes map[routeKey]route
	serves map[routeKey]routeKey // of a host, a method and the paths that a pattern matches: the route that came last
	probed *routeKey             // while it is probed

	ofEcho   echo.HandlerFunc // a handler as Echo gives it to its router
	replaced bool             // the router has another handler for the route that was probed
}

type routeKey struct{ host, method, path string }

// pattern has the host in front, as those of an [http.ServeMux] do.
func (k routeKey) pattern() string { return k.host + k.path }

type route struct {
	middlewares []echo.MiddlewareFunc
	automatic   bool // made by a group with middlewares, so that they are run where there is no route
}

// Record notes the routes that are registered with e from now on. It panics if
// there are some already. A hook in [echo.Echo.OnAddRouteHandler] is kept; one
// that is set later must call the one that it finds. It adds to e a middleware
// that does something only while Routes runs.
func Record(e *echo.Echo) *Recorder {
	if e == nil {
		panic("authzecho4: Record: nil Echo")
	}
	if len(e.Routes()) > 0 || len(e.Routers()) > 0 {
		panic("authzecho4: Record: there are routes already: call it right after echo.New")
	}
	r := &Recorder{echo: e, routes: map[routeKey]route{}, serves: map[routeKey]routeKey{}}
	earlier := e.OnAddRouteHandler
	e.OnAddRouteHandler = func(host string, added echo.Route, handler echo.HandlerFunc, middlewares []echo.MiddlewareFunc) {
		if earlier != nil {
			earlier(host, added, handler, middlewares)
		}
		key := routeKey{host, added.Method, added.Path}
		if _, ok := r.routes[key]; !ok {
			r.keys = append(r.keys, key)
		}
		// Not a copy: for each request echo reads the slice anew, which may be the program's.
		r.routes[key] = route{middlewares, added.Method == echo.RouteNotFound && same(handler, echo.NotFoundHandler)}
		r.serves[routeKey{host, added.Method, shape(added.Path)}] = key
	}
	r.ofEcho = registered()
	e.Use(r.routed)
	return r
}

// registered returns a handler that Echo gave to its router.
func registered() echo.HandlerFunc {
	e := echo.New()
	e.GET("/", echo.NotFoundHandler)
	c := e.NewContext(nil, nil)
	e.Router().Find(http.MethodGet, "/", c)
	return c.Handler()
}

// routed is the outermost middleware of Use. In a probe the router may have found
// another route, to which the pattern of this one, taken for a path, leads. If it
// has found this one, the handler must be one that Echo made of a registration.
func (r *Recorder) routed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if r.probed != nil {
			r.replaced = r.replaced || c.Path() == r.probed.path && !same(c.Handler(), r.ofEcho)
			c.SetPath(r.probed.path)
		}
		return next(c)
	}
}

// shape is a pattern without the names of its parameters: patterns with the same
// shape match the same paths. Its colons are escaped where they are literal.
func shape(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		out.WriteByte(pattern[i])
		switch {
		case pattern[i] == '*':
			return out.String() // nothing behind it is matched
		case pattern[i] == ':' && (i == 0 || pattern[i-1] != '\\'):
			for i+1 < len(pattern) && pattern[i+1] != '/' {
				i++
			}
		}
	}
	return out.String()
}

func same(a, b echo.HandlerFunc) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Routes returns every route, in the order of registration, with what the Guards
// before its handler require: those of Pre, of Use, of groups and of the route.
// The pattern of one for a host ([echo.Echo.Host]) begins with it. No handler is
// run. The middlewares are, with a request to probe.invalid, or to that host, that
// has no credentials. One of a group or a route that answers it does not hide those
// behind it. One of Pre or Use does, and the Err of the routes says so.
//
// A middleware that asks a Guard itself runs some dozens of times: with each
// combination of refusals, and with requests that carry other credentials, a
// preflight, an upgrade, or the address of a proxy. If it goes on when a Guard
// refuses, if other Guards are then asked, or if it answers by itself, the Err of
// the route reports it. No run can show a condition on anything else: a header
// field of the program's own, the value of a path parameter, the claims of the
// token, the time. Such a middleware is listed with the Guards that it asks about
// the request above. Protect itself has no conditions. For alternatives, see
// [oauthz.RequireAny] and [oauthz.Any].
//
// Where a later route has taken the place of one, since their patterns differ only
// in the names of parameters, the Err of the earlier one reports it.
//
// A Guard inside a handler, which [echo.WrapHandler] makes of an [http.Handler],
// is not seen. A route for all methods ([echo.Echo.Any]) is one, if what it
// requires is the same for each. A handler for paths that have no route
// ([echo.Echo.RouteNotFound]) has the method "404", and an Err if what it requires
// depends on the method. The answers of echo itself, 404 and 405, are not routes.
// A route that a [echo.Router] is given directly is not seen. In the place of a
// route that is, it is in the Err of that.
//
// It adds to e a middleware that does nothing afterwards.
func (r *Recorder) Routes() []oauthz.Route {
	// The middlewares of Pre and Use can be reached only through ServeHTTP, at
	// whose end is the handler. So there is one more, the innermost, that in a
	// probe goes on with those of the route, and to no handler. It does not look
	// for marks on the request, since a middleware may have made another.
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
	held := r.held()
	for _, key := range r.keys {
		if r.routes[key].automatic || !held[key] {
			continue
		}
		route := r.route(key, &behind)
		if r.serves[routeKey{key.host, key.method, shape(key.path)}] != key {
			route.Err = errTaken
		}
		routes = append(routes, route)
	}
	return collapse(routes)
}

// held has the routes that the routers have. Echo.Host, called again for the same
// host, gives that a new router without the routes of the old one.
func (r *Recorder) held() map[routeKey]bool {
	held := map[routeKey]bool{}
	add := func(host string, routes []*echo.Route) {
		for _, route := range routes {
			held[routeKey{host, route.Method, route.Path}] = true
		}
	}
	add("", r.echo.Routes())
	for host, router := range r.echo.Routers() {
		add(host, router.Routes())
	}
	return held
}

// route finds out what the Guards on the way to a handler require.
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

// probe asks with one request. It sets behind to what is behind the middlewares of
// Pre and Use.
func (r *Recorder) probe(key routeKey, method string, behind *func(echo.Context)) oauthz.Route {
	found := oauthz.Route{Method: method, Pattern: key.pattern()}
	middlewares := r.routes[key].middlewares
	r.probed, r.replaced = &key, false
	defer func() { r.probed = nil }()
	found.Requirements = oauthz.Probe(probeRequest(key, method), 0, func(request *http.Request) {
		reached := false
		*behind = func(c echo.Context) {
			if !reached { // somebody may try again
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
	if err := r.heeded(probeRequest(key, method), behind); err != nil && found.Err != errAnswered {
		found.Err = err
	}
	if r.replaced {
		found.Err = errReplaced
	}
	return found
}

// methods are those that [echo.Echo.Any] registers.
func methods() []string {
	var all []string
	for _, any := range echo.New().Any("/", echo.NotFoundHandler) {
		all = append(all, any.Method)
	}
	return all
}

// collapse makes one route of those that [echo.Echo.Any] registers, where they
// require the same.
func collapse(routes []oauthz.Route) []oauthz.Route {
	methods := methods()
	alike := map[string][]oauthz.Route{} // by pattern: those that are like the first
	for _, r := range routes {
		if group := alike[r.Pattern]; slices.Contains(methods, r.Method) && (len(group) == 0 || equal(group[0], r)) {
			alike[r.Pattern] = append(group, r)
		}
	}
	var out []oauthz.Route
	for _, r := range routes {
		group := alike[r.Pattern]
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
	return fmt.Sprint(a.Err) == fmt.Sprint(b.Err) && slices.EqualFunc(a.Requirements, b.Requirements, func(a, b oauthz.Requirement) bool {
		return a.String() == b.String()
	})
}
