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
)

// errUnseen is the Err of a route that was registered behind the back of the
// Recorder.
var errUnseen = errors.New("authzecho: the route was added to the router directly, not through Echo or a Group")

// errMethods is the Err of a route for all methods of which not all are treated
// alike.
var errMethods = errors.New("authzecho: what it requires depends on the method: register it for each")

// errTaken is the Err of a route that the router does not find any more.
var errTaken = errors.New("authzecho: another route, with other names of parameters, answers in its place")

// Recorder knows the routes of an Echo. It is for tests, and not safe for
// concurrent use.
type Recorder struct {
	echo   *echo.Echo
	routes map[routeKey]echo.Route
	serves map[routeKey]routeKey // of a method and the paths that a pattern matches: the route that came last
}

type routeKey struct{ method, path string }

func keyOf(method, path string) routeKey {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // as the router writes it
	}
	return routeKey{method, path}
}

// Record notes the routes that are registered with e from now on. It panics if
// there are some already. A hook in [echo.Echo.OnAddRoute] is kept; one that is
// set later must call the one that it finds.
//
// A route that is registered in the place of another takes its row, unless the
// router refuses it ([echo.RouterConfig.AllowOverwritingRoute]). To find that out,
// the router is given the route a first time before Echo does so. A route that the
// router is given directly, in the place of another, is not seen.
func Record(e *echo.Echo) *Recorder {
	if e == nil {
		panic("authzecho: Record: nil Echo")
	}
	if len(e.Router().Routes()) > 0 {
		panic("authzecho: Record: there are routes already: call it right after echo.New")
	}
	r := &Recorder{echo: e, routes: map[routeKey]echo.Route{}, serves: map[routeKey]routeKey{}}
	earlier := e.OnAddRoute
	e.OnAddRoute = func(route echo.Route) error {
		if earlier != nil {
			if err := earlier(route); err != nil {
				return err
			}
		}
		if r.refused(route) {
			return nil // echo will find out, and return the error of the router
		}
		// The router has read the slice when it is done; whose it is may go on writing to it.
		route.Middlewares = slices.Clone(route.Middlewares)
		key := keyOf(route.Method, route.Path)
		r.routes[key] = route
		r.serves[routeKey{key.method, shape(key.path)}] = key
		return nil
	}
	return r
}

// refused reports whether the router keeps the route that it has instead of this
// one. Only the router knows.
func (r *Recorder) refused(route echo.Route) bool {
	if _, err := r.echo.Router().Routes().FindByMethodPath(route.Method, route.Path); err != nil {
		return false // it has none
	}
	_, err := r.echo.Router().Add(route)
	return err != nil
}

// shape is a pattern without the names of its parameters: patterns with the same
// shape match the same paths. Its colons are escaped where they are literal.
func shape(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		out.WriteByte(pattern[i])
		switch {
		case pattern[i] == '*':
			return out.String() // the router reads no further
		case pattern[i] == ':' && (i == 0 || pattern[i-1] != '\\'):
			for i+1 < len(pattern) && pattern[i+1] != '/' {
				i++
			}
		}
	}
	return out.String()
}

// Routes returns every route, in the order of registration, with what the Guards
// before its handler require: those of Pre, of Use, of groups and of the route.
// No handler is run. The middlewares are, with a request that has no
// credentials; one that answers it does not hide those behind it.
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
// is not seen. A handler for paths that have no route ([echo.Echo.RouteNotFound])
// has the method "404". The answers of the router, 404 and 405, are no routes,
// even if [echo.RouterConfig] names handlers for them. If what a route for all
// methods requires is not the same for each, its Err says so.
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
			route.Err = errUnseen
		case r.serves[routeKey{key.method, shape(key.path)}] != key:
			route.Err = errTaken
		}
		info.Path = key.path
		var err error
		route.Requirements, err = r.requirements(info, recorded.Middlewares)
		route.Err = cmp.Or(route.Err, err)
		routes = append(routes, route)
	}
	return routes
}

// automatic says whether a group with middlewares made the route, so that they
// are run where there is none.
func automatic(route echo.Route) bool {
	return route.Method == echo.RouteNotFound && route.Handler == nil
}

// requirements are those of all Guards on the way to a handler. The error says
// why they are not what every request has to meet.
func (r *Recorder) requirements(info echo.RouteInfo, middlewares []echo.MiddlewareFunc) (first []oauthz.Requirement, err error) {
	for i, method := range methods(info) {
		var doubt error
		met := oauthz.Probe(probeRequest(info, method), 0, func(request *http.Request) {
			c := r.echo.NewContext(request, sealed{http.Header{}})
			walk(c, slices.Concat(r.echo.PreMiddlewares(), []echo.MiddlewareFunc{routed(info)}, r.echo.Middlewares(), middlewares), &doubt)
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

// methods are those that a route answers to, as far as they have names.
func methods(info echo.RouteInfo) []string {
	if info.Method != echo.RouteAny && info.Method != echo.RouteNotFound {
		return []string{info.Method}
	}
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}

// probeRequest is one that the route would be for.
func probeRequest(info echo.RouteInfo, method string) *http.Request {
	request, err := http.NewRequest(http.MethodGet, "https://probe.invalid/", http.NoBody)
	if err != nil {
		panic(err) // they are constants
	}
	request.Method = method
	request.URL.Path, request.RequestURI, request.RemoteAddr = info.Path, info.Path, "192.0.2.1:49152"
	return request
}

// routed stands where the router does, between the middlewares of Pre and those
// of Use. Whatever became of the request, this is the route that it found.
func routed(info echo.RouteInfo) echo.MiddlewareFunc {
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

// walk runs the middlewares in their order, each around what is behind it. What
// is behind one that does not call it is run after it. doubt becomes the first
// reason why one of them may go on without the Guards in it.
func walk(c *echo.Context, middlewares []echo.MiddlewareFunc, doubt *error) {
	if len(middlewares) == 0 {
		return
	}
	if err := heeded(c, middlewares[0]); err != nil && *doubt == nil {
		*doubt = err
	}
	called := false
	run(c, func(c *echo.Context) error {
		return middlewares[0](func(c *echo.Context) error {
			if !called { // it may try again
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

// heeded returns why it is not certain that a middleware lets a request through
// only if the Guards in it do, or nil. It leaves c as it was.
func heeded(c *echo.Context, middleware echo.MiddlewareFunc) error {
	if isProtect(middleware) {
		return nil // most are
	}
	request, response := c.Request(), c.Response()
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	err := oauthz.ProbeHeeded(request, func(request *http.Request) (reached bool) {
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
		return fmt.Errorf("authzecho: %w", err)
	}
	return nil
}

// isProtect reports whether middleware is one of Protect, alone.
func isProtect(middleware echo.MiddlewareFunc) bool {
	return reflect.ValueOf(middleware).Pointer() == reflect.ValueOf((&protection{}).before).Pointer()
}

// run runs h to its end, however that comes about: a middleware may miss
// something that a request has.
func run(c *echo.Context, h echo.HandlerFunc) {
	defer func() { _ = recover() }()
	_ = h(c)
}
