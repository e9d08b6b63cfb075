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
)

// probeKey is in the context of the requests that ask.
type probeKey struct{}

// request is one for a route, as far as there is one: its middleware may look at what chi says of it.
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

// through sends r through outer, the outermost first, to an end that does nothing. One that answers by itself, or panics,
// hides nothing: the next one then gets the request as it was so far. It notes in doubts one that does not heed its Guards.
func through(outer chi.Middlewares, w http.ResponseWriter, r *http.Request, doubts *doubts) {
	if len(outer) == 0 {
		return
	}
	doubts.add(heeded(outer[0], r))
	var passed atomic.Bool // a middleware may go on in another goroutine
	next := func(w http.ResponseWriter, inner *http.Request) {
		if passed.Swap(true) {
			return // it was here before: a middleware that tries again
		}
		if inner.Context().Value(probeKey{}) == nil {
			inner = r // whose context is not lost: a Guard would not know what it is asked
		}
		through(outer[1:], w, inner, doubts)
	}
	call(outer[0], http.HandlerFunc(next), w, r)
	if !passed.Load() {
		through(outer[1:], w, r, doubts)
	}
}

// heeded returns why it is not certain that middleware lets a request through only if the Guards in it do, or nil.
func heeded(middleware func(http.Handler) http.Handler, r *http.Request) error {
	if isProtect(middleware) {
		return nil
	}
	return oauthz.ProbeHeeded(r, func(r *http.Request) bool {
		var reached atomic.Bool
		next := func(http.ResponseWriter, *http.Request) { reached.Store(true) }
		call(middleware, http.HandlerFunc(next), discard{http.Header{}}, r)
		return reached.Load()
	})
}

// isProtect reports whether middleware is one of Protect, alone: most are, and they need no runs.
func isProtect(middleware func(http.Handler) http.Handler) bool {
	defer func() { _ = recover() }() // it misses something that only a real request has
	end := &discarded{}
	_, inner := oauthz.Protected(middleware(end))
	return inner == http.Handler(end) // or it does nothing
}

// discarded is a handler that no request reaches.
type discarded struct{ _ byte } // a size, so that each has an address of its own

func (*discarded) ServeHTTP(http.ResponseWriter, *http.Request) {}

// doubts is the first reason not to trust the requirements that were found.
type doubts struct {
	mu  sync.Mutex
	err error
}

func (d *doubts) add(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = fmt.Errorf("authzchi: route: %w", err)
	}
}

func (d *doubts) first() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func call(middleware func(http.Handler) http.Handler, next http.Handler, w http.ResponseWriter, r *http.Request) {
	defer func() { _ = recover() }() // it misses something that only a real request has
	middleware(next).ServeHTTP(w, r)
}

// discard is a ResponseWriter for nobody.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
