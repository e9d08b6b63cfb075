package authzgin

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// Recorder finds out the requirements of the routes of an engine. It is for tests, and safe for concurrent use.
type Recorder struct {
	engine  *gin.Engine
	protect string // gin's name of the handlers that Protect returns
}

// Record returns a Recorder of engine. It puts a middleware before all others, so it must be called before anything is
// registered. It panics if there are routes. It cannot find groups that exist already: for their routes, [Recorder.Routes]
// would run a handler that has no Guard. The middleware does something only while Routes runs.
func Record(engine *gin.Engine) *Recorder {
	if engine == nil {
		panic("authzgin: Record: nil Engine")
	}
	if len(engine.Routes()) > 0 {
		panic("authzgin: Record: the engine has routes already, whose Guards the Recorder cannot find: call Record right after gin.New")
	}
	r := &Recorder{engine: engine, protect: nameOf((&protection{}).serve)}
	engine.Handlers = slices.Concat(gin.HandlersChain{r.watch}, engine.Handlers)
	engine.Use() // has gin build the chains for 404 and 405 again
	return r
}

// nameOf returns gin's name of a handler.
func nameOf(h gin.HandlerFunc) string {
	return runtime.FuncForPC(reflect.ValueOf(h).Pointer()).Name()
}

// Routes lists the routes of the engine with the requirements of the Guards before their handlers. It is for tests, such as
// one with oauthztest.RouteTable. Call it after all routes are registered. The nine methods that Any registers for a pattern
// are one route of [oauthz.AnyMethod], if they have the same requirements.
//
// No handler runs. Middleware runs, up to the last Guard of a chain, with a request that has the pattern as its path and no
// headers. A middleware that answers such a request, as basic authentication does, hides the Guards behind it, and the Err
// of the route reports that. The middleware of Protect is found only in the chain itself, not if another function calls it.
// The Guards inside a net/http handler that was passed to gin.WrapH are not found. A handler that stands before a Guard of
// its chain is run, because the Recorder cannot distinguish it from middleware.
func (r *Recorder) Routes() []oauthz.Route {
	r.serve(&routeProbe{route: gin.RouteInfo{Path: "/"}}) // gin rewrites escaped patterns at its first request: this one, which has no method
	var routes []oauthz.Route
	count, registered := map[string]int{}, r.engine.Routes()
	for _, info := range registered {
		count[info.Method+" "+info.Path]++
	}
	for _, info := range registered {
		p := &routeProbe{route: info, duplicate: count[info.Method+" "+info.Path] > 1}
		r.serve(p)
		routes = append(routes, oauthz.Route{Method: info.Method, Pattern: info.Path, Guards: p.met, Err: p.err()})
	}
	return foldAny(routes)
}

// serve sends p through the engine. A Guard that does not find p in c.Keys refuses, because the request is also a probe that
// stops at the first Guard: a Guard of a group that was made before Record, or one behind a middleware that deletes the keys.
func (r *Recorder) serve(p *routeProbe) {
	defer func() { p.panicked = recover() }()
	path := p.route.Path
	request := &http.Request{
		Method: p.route.Method, URL: &url.URL{Path: path}, RequestURI: path,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Host: "example.com", RemoteAddr: "192.0.2.1:1234",
	}
	probe.Requirements[oauthz.Requirement](request.WithContext(context.WithValue(context.Background(), r, p)), 1, func(request *http.Request) {
		r.engine.ServeHTTP(discard{http.Header{}}, request)
	})
}

// watch stands before all other handlers of the engine.
func (r *Recorder) watch(c *gin.Context) {
	p, ok := c.Request.Context().Value(r).(*routeProbe)
	if !ok {
		return // a real request
	}
	defer c.Abort() // in every case, also after a panic, the rest of this chain must not run
	p.enter(c, r.protect)
}

// discard is a ResponseWriter that discards the response.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
