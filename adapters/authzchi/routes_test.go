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

// scene is a router, with a Guard and a handler for its routes.
type scene struct {
	*chi.Mux
	guard   *oauthz.Guard
	protect func(http.Handler) http.Handler // requires read
	handler http.HandlerFunc
}

// routeOf returns the route of a method and a pattern, with the requirements of its Guards.
func routeOf(method, pattern string, requirements ...oauthz.Requirement) oauthz.Route {
	return oauthz.Route{Method: method, Pattern: pattern, Guards: requirements}
}

// misleadingRouters are routers of which chi.Walk lists other routes or other middlewares than those that answer.
var misleadingRouters = []struct {
	name     string
	register func(scene)
	want     []oauthz.Route
}{
	{"nothing", func(scene) {}, nil},
	{"no routes", func(s scene) {
		s.NotFound(s.handler)
		s.MethodNotAllowed(s.handler)
		s.Route("/empty", func(chi.Router) {})
	}, nil},
	{"a route for every method, and one that requires more", func(s scene) {
		s.With(s.protect).Handle("/a", s.handler)
		s.With(s.protect, authzchi.Protect(s.guard, write)).Post("/a", s.handler)
		s.With(s.protect).Put("/a", s.handler)
	}, []oauthz.Route{routeOf("*", "/a", read), routeOf("POST", "/a", read, write)}},
	{"a mounted inline router, whose middleware does not run", func(s scene) {
		sub := chi.NewRouter()
		inline := sub.With(s.protect)
		inline.Get("/protected", s.handler)
		sub.Get("/open", s.handler)
		s.Mount("/sub", inline)
	}, []oauthz.Route{routeOf("GET", "/sub/open"), routeOf("GET", "/sub/protected", read)}},
	{"a route at the pattern of a mounted router", func(s scene) {
		s.With(s.protect).Mount("/sub", chi.NewRouter().With(authzchi.Protect(s.guard, write)))
		s.Get("/sub/*", s.handler)
	}, []oauthz.Route{routeOf("GET", "/sub/*")}},
	{"a mounted handler", func(s scene) { s.With(s.protect).Mount("/files", s.handler) }, []oauthz.Route{routeOf("*", "/files/*", read)}},
	{"a mounted handler that Protect made", func(s scene) { s.Mount("/files", s.protect(s.handler)) }, []oauthz.Route{routeOf("*", "/files/*")}},
	{"mounts in mounts", func(s scene) {
		sub := chi.NewRouter()
		sub.With(s.protect).Get("/a", s.handler)
		for range 3 {
			outer := chi.NewRouter()
			outer.Mount("/", sub)
			sub = outer
		}
		s.Mount("/", sub)
		s.Mount("/x", sub)
	}, []oauthz.Route{routeOf("GET", "/a", read), routeOf("GET", "/x/a", read)}},
	{"parameters of two names", func(s scene) {
		s.With(s.protect).Get("/{id}", s.handler)
		s.Post("/{name}", s.handler)
	}, []oauthz.Route{routeOf("GET", "/{id}", read), routeOf("POST", "/{name}")}},
	{"handlers that Protect made, and chains", func(s scene) {
		s.With(s.protect).Method("GET", "/a", chi.Chain(authzchi.Protect(s.guard, write)).Handler(s.handler))
		s.Method("GET", "/b", s.guard.Protect(read)(s.guard.Protect(write)(s.handler)))
		s.With(s.protect).Method("GET", "/c", s.guard.Protect(write)(chi.Chain(s.protect).Handler(s.guard.Protect(oauthz.Public())(s.handler))))
	}, []oauthz.Route{routeOf("GET", "/a", read, write), routeOf("GET", "/b", read, write), routeOf("GET", "/c", read, write, read, oauthz.Public())}},
	{"groups of groups", func(s scene) {
		s.Group(func(r chi.Router) {
			r.Use(s.protect)
			r.Group(func(r chi.Router) {
				r.Use(authzchi.Protect(s.guard, write))
				r.Get("/a", s.handler)
			})
			r.With().Get("/b", s.handler)
		})
		s.Get("/c", s.handler)
	}, []oauthz.Route{routeOf("GET", "/a", read, write), routeOf("GET", "/b", read), routeOf("GET", "/c")}},
}

// Routers for which chi.Walk reports wrong or incomplete routes, and their real routes.
func TestRoutersThatMisleadChiWalk(t *testing.T) {
	t.Parallel()
	guard, handler := newGuard(t, oauthz.Config{}), forbidden(t)
	for _, tt := range misleadingRouters {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			router := chi.NewRouter()
			tt.register(scene{router, guard, authzchi.Protect(guard, read), handler})
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

// routersWithOpenRoutes register a protected route, and an open route beside it or in its place.
var routersWithOpenRoutes = map[string]func(r chi.Router, protect func(http.Handler) http.Handler, handler http.Handler){
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
}

// Requests without a token are served or refused as the table states.
func TestTableIsTrue(t *testing.T) {
	t.Parallel()
	const taken = "authzchi: route: another handler with the pattern of the mounted router answers its requests"
	for name, register := range routersWithOpenRoutes {
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
