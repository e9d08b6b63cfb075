package authzchi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// probeKey is a key in the context of the requests of a probe.
type probeKey struct{}

// request returns a request for a route. It has a routing context of chi, because middleware may read that.
func (w *walker) request(method, pattern string) *http.Request {
	if method == oauthz.AnyMethod {
		method = http.MethodGet
	}
	routing := chi.NewRouteContext()
	routing.Routes, routing.RouteMethod, routing.RoutePath, routing.RoutePatterns = w.root, method, pattern, []string{pattern}
	ctx := context.WithValue(context.WithValue(context.Background(), probeKey{}, true), chi.RouteCtxKey, routing)
	r := &http.Request{
		Method: method, URL: &url.URL{Path: pattern}, RequestURI: pattern, Pattern: pattern,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Host: "example.com", RemoteAddr: "192.0.2.1:1234",
	}
	return r.WithContext(ctx)
}

// through sends r through outer, the outermost first, to an end that does nothing. If a middleware answers the request
// itself or panics, the next one gets the request that this one got, so no Guard is hidden. A middleware that does not
// enforce its Guards is recorded in doubt.
func through(outer chi.Middlewares, w http.ResponseWriter, r *http.Request, doubt *doubt) {
	if len(outer) == 0 {
		return
	}
	doubt.add(enforced(outer[0], r))
	var passed atomic.Bool // a middleware may continue in another goroutine
	next := func(w http.ResponseWriter, inner *http.Request) {
		if passed.Swap(true) {
			return // a middleware that calls next a second time
		}
		if inner.Context().Value(probeKey{}) == nil {
			inner = r // the middleware has replaced the context: a Guard would not recognize the probe
		}
		through(outer[1:], w, inner, doubt)
	}
	call(outer[0], http.HandlerFunc(next), w, r)
	if !passed.Load() {
		through(outer[1:], w, r, doubt)
	}
}

// enforced returns nil if middleware lets a request through only if the Guards in it do, and otherwise the reason for the
// doubt.
func enforced(middleware func(http.Handler) http.Handler, r *http.Request) error {
	if isProtect(middleware) {
		return nil
	}
	return probe.Enforced[oauthz.Requirement](r, func(r *http.Request) bool {
		var reached atomic.Bool
		next := func(http.ResponseWriter, *http.Request) { reached.Store(true) }
		call(middleware, http.HandlerFunc(next), discard{http.Header{}}, r)
		return reached.Load()
	})
}

// isProtect reports whether middleware is one of Protect and nothing else. Most are, and they need no probe.
func isProtect(middleware func(http.Handler) http.Handler) bool {
	defer func() { _ = recover() }() // the middleware may need something that only a real request has
	end := &discarded{}
	_, inner := oauthz.Protected(middleware(end))
	return inner == http.Handler(end) // also if middleware does nothing
}

// discarded is a handler that no request reaches.
type discarded struct{ _ byte } // not of size zero, so that each value has its own address

func (*discarded) ServeHTTP(http.ResponseWriter, *http.Request) {}

// doubt holds the first reason not to trust the requirements that were found.
type doubt struct {
	mu  sync.Mutex
	err error
}

func (d *doubt) add(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = fmt.Errorf("authzchi: route: %w", err)
	}
}

func (d *doubt) first() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func call(middleware func(http.Handler) http.Handler, next http.Handler, w http.ResponseWriter, r *http.Request) {
	defer func() { _ = recover() }() // the middleware may need something that only a real request has
	middleware(next).ServeHTTP(w, r)
}

// discard is a ResponseWriter that discards the response.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
