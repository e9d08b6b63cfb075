package authzchi

import (
	"context"
	"net/http"
	"net/url"
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
// hides nothing: the next one then gets the request as it was so far. It notes in deaf if one goes on when a Guard refuses.
func through(outer chi.Middlewares, w http.ResponseWriter, r *http.Request, deaf *atomic.Bool) {
	if len(outer) == 0 {
		return
	}
	if isDeaf(outer[0], w, r) {
		deaf.Store(true)
	}
	var passed atomic.Bool // a middleware may go on in another goroutine
	next := func(w http.ResponseWriter, inner *http.Request) {
		if passed.Swap(true) {
			return // it was here before: a middleware that tries again
		}
		if inner.Context().Value(probeKey{}) == nil {
			inner = r // whose context is not lost: a Guard would not know what it is asked
		}
		through(outer[1:], w, inner, deaf)
	}
	call(outer[0], http.HandlerFunc(next), w, r)
	if !passed.Load() {
		through(outer[1:], w, r, deaf)
	}
}

// isDeaf says whether middleware goes on with a request that the Guards in it, all of them, refuse: then these protect nothing.
func isDeaf(middleware func(http.Handler) http.Handler, w http.ResponseWriter, r *http.Request) bool {
	var passed atomic.Bool
	next := func(http.ResponseWriter, *http.Request) { passed.Store(true) }
	met := oauthz.Probe(r.Clone(r.Context()), 1, func(r *http.Request) { call(middleware, http.HandlerFunc(next), w, r) })
	return len(met) > 0 && passed.Load()
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
