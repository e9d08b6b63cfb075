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
)

// Recorder finds out what the routes of an engine require. It is for tests, and safe for concurrent use.
type Recorder struct {
	engine  *gin.Engine
	protect string // what gin calls the handlers that Protect makes
}

// Record makes a Recorder of engine, by putting a middleware before all others. So it must be called before anything is
// registered, and panics if there are routes. It cannot see groups that are there already: [Recorder.Routes] would run the
// handlers of their routes that have no Guard. The middleware does nothing but for Routes.
func Record(engine *gin.Engine) *Recorder {
	if engine == nil {
		panic("authzgin: Record: nil Engine")
	}
	if len(engine.Routes()) > 0 {
		panic("authzgin: Record: the engine has routes already, which the Recorder cannot see into: record it while it is empty")
	}
	r := &Recorder{engine: engine, protect: nameOf((&protection{}).serve)}
	engine.Handlers = slices.Concat(gin.HandlersChain{r.watch}, engine.Handlers)
	engine.Use() // gin makes the chains for 404 and 405 anew
	return r
}

// nameOf is what gin calls a handler.
func nameOf(h gin.HandlerFunc) string {
	return runtime.FuncForPC(reflect.ValueOf(h).Pointer()).Name()
}

// Routes lists the routes of the engine with what the Guards before their handlers require: for a test, such as one of
// oauthztest.RouteTable, when all is registered. Nine methods of one pattern that require the same, as Any registers
// them, are one route of [oauthz.AnyMethod].
//
// No handler runs, but middleware does, up to the last Guard of a chain, with a request that has the pattern as its path
// and no headers. What answers that by itself, as basic authentication does, hides the Guards behind it: the Err of the
// route says so. What Protect returns is only seen in the chain itself, not if another function calls it, nor are the Guards
// of a net/http handler that gin.WrapH took. A handler that stands before a Guard of its chain is taken for middleware.
func (r *Recorder) Routes() []oauthz.Route {
	r.serve(&probe{route: gin.RouteInfo{Path: "/"}}) // at its first request, here one without a method, gin rewrites escaped patterns
	var routes []oauthz.Route
	seen, registered := map[string]int{}, r.engine.Routes()
	for _, info := range registered {
		seen[info.Method+" "+info.Path]++
	}
	for _, info := range registered {
		p := &probe{route: info, twin: seen[info.Method+" "+info.Path] > 1}
		r.serve(p)
		routes = append(routes, oauthz.Route{Method: info.Method, Pattern: info.Path, Requirements: p.met, Err: p.err()})
	}
	return foldAny(routes)
}

// serve sends p through the engine. Guards that do not see p in c.Keys refuse, because of oauthz.Probe: those of a group that
// is older than the Recorder, and those behind a middleware that throws away the keys.
func (r *Recorder) serve(p *probe) {
	defer func() { p.panicked = recover() }()
	path := p.route.Path
	request := &http.Request{
		Method: p.route.Method, URL: &url.URL{Path: path}, RequestURI: path,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Host: "example.com", RemoteAddr: "192.0.2.1:1234",
	}
	oauthz.Probe(request.WithContext(context.WithValue(context.Background(), r, p)), 1, func(request *http.Request) {
		r.engine.ServeHTTP(discard{http.Header{}}, request)
	})
}

// watch stands before all other handlers of the engine.
func (r *Recorder) watch(c *gin.Context) {
	p, ok := c.Request.Context().Value(r).(*probe)
	if !ok {
		return // a request of somebody
	}
	defer c.Abort() // whatever happens below, no more of this chain may run
	p.enter(c, r.protect)
}

// discard is a ResponseWriter for nobody.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
