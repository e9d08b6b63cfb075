package authzchi_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

// sub returns a router of one route, to be mounted.
func sub(method, pattern string, handler http.Handler, middlewares ...func(http.Handler) http.Handler) chi.Router {
	router := chi.NewRouter()
	if method == oauthz.AnyMethod {
		router.With(middlewares...).Handle(pattern, handler)
		return router
	}
	router.With(middlewares...).Method(method, pattern, handler)
	return router
}

const shadowed = "authzchi: route: another route, whose pattern matches the same paths, answers its requests"

// shadowTests are routers in which two routes match the same paths, and one in which no two do. protect requires read, open
// nothing.
var shadowTests = []struct {
	name     string
	register func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler)
	path     string
	status   int // of GET, without a token
	rows     map[string]string
}{
	{name: "another name, one method", path: "/a/7", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.With(protect).Method("GET", "/a/{id}", handler)
		r.With(open).Method("GET", "/a/{name}", handler)
	}, rows: map[string]string{"GET /a/{name}": "public"}},
	{name: "another name, of one method among all", path: "/a/7", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.With(protect).Handle("/a/{id}", handler)
		r.With(open).Method("GET", "/a/{name}", handler)
	}, rows: map[string]string{"* /a/{id}": shadowed, "GET /a/{name}": "public"}},
	{name: "a parameter before a mounted router", path: "/sub/x", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.Mount("/sub", sub("GET", "/x", handler, protect))
		r.With(open).Method("GET", "/sub/{y}", handler)
	}, rows: map[string]string{"GET /sub/x": shadowed, "GET /sub/{y}": "public"}},
	{name: "the same pattern before a mounted router", path: "/sub/x", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.Mount("/sub", sub("GET", "/x", handler, protect))
		r.With(open).Handle("/sub/x", handler)
	}, rows: map[string]string{"GET /sub/x": shadowed, "* /sub/x": "public"}},
	{name: "the same pattern and parameter before a mounted router", path: "/sub/7/y", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.Mount("/sub", sub("*", "/{x}/y", handler, protect))
		r.With(open).Handle("/sub/{x}/y", handler)
	}, rows: map[string]string{"* /sub/{x}/y": "public"}},
	{name: "one method of a mounted router's", path: "/sub/x", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.Mount("/sub", sub("*", "/x", handler, protect))
		r.With(open).Method("GET", "/sub/x", handler)
	}, rows: map[string]string{"* /sub/x": "scope orders:read", "GET /sub/x": "public"}},
	{name: "a mounted router, declared last", path: "/sub", status: 200, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.With(protect).Method("GET", "/sub", handler)
		r.Mount("/sub", sub("GET", "/", handler, open))
	}, rows: map[string]string{"GET /sub/": "public"}},
	{name: "patterns for other paths", path: "/a/7", status: 401, register: func(r chi.Router, protect, open func(http.Handler) http.Handler, handler http.Handler) {
		r.With(protect).Method("GET", "/a/{id}", handler)
		r.With(open).Method("GET", "/a/new", handler)
		r.With(open).Handle("/a/*", handler)
		r.With(open).Handle("/a/{id}/{x}/*", handler)
		r.With(open).Method("GET", "/a/{n:[a-f]+}", handler)
		r.Mount("/a/sub", sub("GET", "/{id}/*", handler, protect))
		r.Mount("/", sub("GET", "/{id}", handler, protect))
	}, rows: map[string]string{
		"GET /a/{id}": "scope orders:read", "GET /a/new": "public", "* /a/*": "public", "* /a/{id}/{x}/*": "public",
		"GET /a/{n:[a-f]+}": "public", "GET /a/sub/{id}/*": "scope orders:read", "GET /{id}": "scope orders:read",
	}},
}

// If two routes match the same paths, one of them serves. Its row is true, and the row of the other has an Err.
func TestRowIsThatOfTheRouteThatServes(t *testing.T) {
	t.Parallel()
	guard, handler := newGuard(t, oauthz.Config{}), &spy{}
	protect, open := authzchi.Protect(guard, read), authzchi.Protect(guard, oauthz.Public())
	for _, tt := range shadowTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			router := chi.NewRouter()
			tt.register(router, protect, open, handler)
			rows := map[string]string{}
			for _, route := range authzchi.Routes(router) {
				req, _ := route.Combined()
				row := req.String()
				if route.Err != nil {
					row = route.Err.Error()
					if rows[route.Method+" "+route.Pattern] != "" {
						continue // keep the row of the route that serves
					}
				}
				rows[route.Method+" "+route.Pattern] = row
			}
			assert.Equal(t, tt.rows, rows)
			assert.Equal(t, tt.status, serve(router, request("GET", tt.path, "")).status)
		})
	}
}
