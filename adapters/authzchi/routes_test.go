package authzchi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
	"github.com/oauthz/oauthz/oauthztest"
)

// shop registers routes as a program would.
func shop(guard *oauthz.Guard, handler http.Handler) chi.Router {
	protect := func(req oauthz.Requirement) func(http.Handler) http.Handler { return authzchi.Protect(guard, req) }
	serve := handler.ServeHTTP
	router := chi.NewRouter()
	router.Use(middleware.RequestID, middleware.Recoverer, middleware.StripSlashes, middleware.GetHead, middleware.Timeout(time.Minute))
	router.NotFound(serve)
	router.MethodNotAllowed(serve)
	router.With(protect(oauthz.Public())).Get("/health", serve)
	router.Route("/api", func(r chi.Router) {
		r.Use(middleware.Compress(5), protect(oauthz.Require()))
		r.Route("/orders", func(r chi.Router) {
			r.Use(protect(oauthz.Require("orders:read")))
			r.Get("/", serve)
			r.Get("/{id}", serve)
			r.With(protect(oauthz.Require("orders:write"))).Post("/", serve)
			r.Group(func(r chi.Router) {
				r.Use(middleware.NoCache, protect(oauthz.RequireACR("gold")))
				r.With(protect(oauthz.RequireClaim("role", "admin"))).Delete("/{id:[0-9]+}", serve)
			})
		})
		r.Get("/me", serve)
		r.With(protect(oauthz.RequireAny("a", "b"))).HandleFunc("/batch", serve)
		r.MethodFunc("PUT", "/files/*", serve)
		r.With(protect(oauthz.Require("reports"))).Mount("/reports", handler)
	})
	router.With(protect(oauthz.Require("catalog").OrAnonymous())).Handle("GET /catalog", handler)
	router.With(protect(oauthz.Require("m"))).Handle("/mixed", handler)
	router.With(protect(oauthz.Require("m:trace"))).Trace("/mixed", serve)
	router.Method("QUERY", "/wrapped", guard.Protect(oauthz.Require("w"))(handler))
	router.With(protect(oauthz.Require("admin"))).Mount("/admin", admin(guard, handler))
	return router
}

// admin returns a router to be mounted.
func admin(guard *oauthz.Guard, handler http.Handler) http.Handler {
	users := chi.NewRouter()
	users.Method("GET", "/", handler)
	users.Method("GET", "/{name}/*", handler)
	router := chi.NewRouter()
	router.Use(authzchi.Protect(guard, oauthz.RequireMaxAge(time.Minute)))
	router.Mount("/", users)
	return router
}

const shopTable = `GET     /admin/                         all(scope admin, max_age 60)
GET     /admin/{name}/*                 all(scope admin, max_age 60)
*       /api/batch                      all(any valid token, any(scope a, scope b))
PUT     /api/files/*                    any valid token
GET     /api/me                         any valid token
GET     /api/orders/                    all(any valid token, scope orders:read)
POST    /api/orders/                    all(any valid token, scope orders:read, scope orders:write)
DELETE  /api/orders/{id:[0-9]+}         all(any valid token, scope orders:read, acr gold, claim "role" in ["admin"])
GET     /api/orders/{id}                all(any valid token, scope orders:read)
*       /api/reports/*                  all(any valid token, scope reports)
GET     /catalog                        scope catalog or anonymous
GET     /health                         public
*       /mixed                          scope m
TRACE   /mixed                          scope m:trace
QUERY   /wrapped                        scope w
`

func TestRouteTable(t *testing.T) {
	t.Parallel()
	asked, observed := &issuer{}, false
	guard := newGuard(t, oauthz.Config{Introspector: asked, Observe: func(context.Context, oauthz.Decision) { observed = true }})
	router := shop(guard, forbidden(t))
	routes := authzchi.Routes(router)
	assert.Equal(t, shopTable, oauthztest.RouteTable(t, routes))
	for range 20 {
		assert.Equal(t, routes, authzchi.Routes(router), "the order must not change")
	}
	assert.Zero(t, asked.asked.Load(), "the introspector was asked")
	assert.False(t, observed, "a decision was observed")
}

// Routers for which chi.Walk reports wrong or incomplete routes, and their real routes.
func TestRoutersThatMisleadChiWalk(t *testing.T) {
	t.Parallel()
	guard, handler := newGuard(t, oauthz.Config{}), forbidden(t)
	protect, write := authzchi.Protect(guard, read), oauthz.Require("orders:write")
	route := func(method, pattern string, requirements ...oauthz.Requirement) oauthz.Route {
		return oauthz.Route{Method: method, Pattern: pattern, Guards: requirements}
	}
	for _, tt := range []struct {
		name     string
		register func(*chi.Mux)
		want     []oauthz.Route
	}{
		{"nothing", func(*chi.Mux) {}, nil},
		{"no routes", func(r *chi.Mux) {
			r.NotFound(handler)
			r.MethodNotAllowed(handler)
			r.Route("/empty", func(chi.Router) {})
		}, nil},
		{"a route for every method, and one that requires more", func(r *chi.Mux) {
			r.With(protect).Handle("/a", handler)
			r.With(protect, authzchi.Protect(guard, write)).Post("/a", handler)
			r.With(protect).Put("/a", handler)
		}, []oauthz.Route{route("*", "/a", read), route("POST", "/a", read, write)}},
		{"a mounted inline router, whose middleware does not run", func(r *chi.Mux) {
			sub := chi.NewRouter()
			inline := sub.With(protect)
			inline.Get("/protected", handler)
			sub.Get("/open", handler)
			r.Mount("/sub", inline)
		}, []oauthz.Route{route("GET", "/sub/open"), route("GET", "/sub/protected", read)}},
		{"a route at the pattern of a mounted router", func(r *chi.Mux) {
			r.With(protect).Mount("/sub", chi.NewRouter().With(authzchi.Protect(guard, write)))
			r.Get("/sub/*", handler)
		}, []oauthz.Route{route("GET", "/sub/*")}},
		{"a mounted handler", func(r *chi.Mux) { r.With(protect).Mount("/files", handler) }, []oauthz.Route{route("*", "/files/*", read)}},
		{"a mounted handler that Protect made", func(r *chi.Mux) { r.Mount("/files", protect(handler)) }, []oauthz.Route{route("*", "/files/*")}},
		{"mounts in mounts", func(r *chi.Mux) {
			sub := chi.NewRouter()
			sub.With(protect).Get("/a", handler)
			for range 3 {
				outer := chi.NewRouter()
				outer.Mount("/", sub)
				sub = outer
			}
			r.Mount("/", sub)
			r.Mount("/x", sub)
		}, []oauthz.Route{route("GET", "/a", read), route("GET", "/x/a", read)}},
		{"parameters of two names", func(r *chi.Mux) {
			r.With(protect).Get("/{id}", handler)
			r.Post("/{name}", handler)
		}, []oauthz.Route{route("GET", "/{id}", read), route("POST", "/{name}")}},
		{"handlers that Protect made, and chains", func(r *chi.Mux) {
			r.With(protect).Method("GET", "/a", chi.Chain(authzchi.Protect(guard, write)).Handler(handler))
			r.Method("GET", "/b", guard.Protect(read)(guard.Protect(write)(handler)))
			r.With(protect).Method("GET", "/c", guard.Protect(write)(chi.Chain(protect).Handler(guard.Protect(oauthz.Public())(handler))))
		}, []oauthz.Route{route("GET", "/a", read, write), route("GET", "/b", read, write), route("GET", "/c", read, write, read, oauthz.Public())}},
		{"groups of groups", func(r *chi.Mux) {
			r.Group(func(r chi.Router) {
				r.Use(protect)
				r.Group(func(r chi.Router) {
					r.Use(authzchi.Protect(guard, write))
					r.Get("/a", handler)
				})
				r.With().Get("/b", handler)
			})
			r.Get("/c", handler)
		}, []oauthz.Route{route("GET", "/a", read, write), route("GET", "/b", read), route("GET", "/c")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			router := chi.NewRouter()
			tt.register(router)
			assert.Equal(t, tt.want, authzchi.Routes(router))
		})
	}
}

// A router whose routes were listed before it has any still accepts Use.
func TestEmptyRouter(t *testing.T) {
	t.Parallel()
	router := chi.NewRouter()
	assert.Empty(t, authzchi.Routes(router))
	router.Use(authzchi.Protect(newGuard(t, oauthz.Config{}), read))
	router.Get("/a", forbidden(t))
	assert.Equal(t, []oauthz.Route{{Method: "GET", Pattern: "/a", Guards: []oauthz.Requirement{read}}}, authzchi.Routes(router))
}

// Requests without a token are served or refused as the table states.
func TestTableIsTrue(t *testing.T) {
	t.Parallel()
	const taken = "authzchi: route: another handler with the pattern of the mounted router answers its requests"
	for name, register := range map[string]func(r chi.Router, protect func(http.Handler) http.Handler, handler http.Handler){
		"an inline router": func(r chi.Router, protect func(http.Handler) http.Handler, handler http.Handler) {
			sub := chi.NewRouter()
			inline := sub.With(protect)
			inline.Method("GET", "/protected", handler)
			sub.Method("GET", "/open", handler)
			r.Mount("/sub", inline)
		},
		"a handler in the place of a mounted router": func(r chi.Router, protect func(http.Handler) http.Handler, handler http.Handler) {
			sub := chi.NewRouter()
			sub.With(protect).Method("POST", "/*", handler)
			r.Mount("/sub", sub)
			r.Method("GET", "/sub/*", handler)
		},
		"handlers in the place of what a mounted router protects": func(r chi.Router, protect func(http.Handler) http.Handler, handler http.Handler) {
			sub, deep := chi.NewRouter(), chi.NewRouter()
			deep.With(protect).Handle("/a", handler)
			deep.With(protect).Method("PUT", "/*", handler)
			sub.Mount("/deep", deep)
			sub.Method("POST", "/deep/*", handler)
			sub.With(protect).Handle("/b", handler)
			r.Mount("/sub", sub)
			r.Method("GET", "/sub/*", handler)
		},
		"a handler in the place of all of a mounted router": func(r chi.Router, protect func(http.Handler) http.Handler, handler http.Handler) {
			sub := chi.NewRouter()
			sub.With(protect).Handle("/a", handler)
			r.Mount("/sub", sub)
			r.Handle("/sub/*", handler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := chi.NewRouter()
			register(router, authzchi.Protect(newGuard(t, oauthz.Config{}), read), &spy{})
			for _, route := range authzchi.Routes(router) {
				want := orders.status
				if len(route.Guards) > 0 && route.Err == nil {
					want = noToken.status
				}
				assert.Equal(t, want, serve(router, request(route.Method, route.Pattern, "")).status, "%s %s", route.Method, route.Pattern)
				if route.Err != nil {
					require.EqualError(t, route.Err, taken)
				}
			}
		})
	}
}

// A route without a Guard fails the test of a program.
func TestRoutesThatFail(t *testing.T) {
	t.Parallel()
	router := chi.NewRouter()
	router.With(authzchi.Protect(newGuard(t, oauthz.Config{}), read)).Post("/orders/{id}", forbidden(t))
	router.With(middleware.NoCache).Get("/orders/{id}", forbidden(t))
	router.Mount("/files", forbidden(t))
	fake := &fails{TB: t}
	table := oauthztest.RouteTable(fake, authzchi.Routes(router))
	const unprotected = ": no Guard protects this route: put one before its handler, with oauthz.Public() if the route is open on purpose"
	assert.Equal(t, []string{"* /files/*" + unprotected, "GET /orders/{id}" + unprotected}, fake.messages)
	assert.Equal(t, `*       /files/*                        NOT PROTECTED
GET     /orders/{id}                    NOT PROTECTED
POST    /orders/{id}                    scope orders:read
`, table)
}
