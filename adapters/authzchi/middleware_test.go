package authzchi_test

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

type valueKey struct{}

// meddling are middlewares of other authors that handle a request in unusual ways.
var meddling = map[string]func(next http.Handler) http.Handler{
	"nothing":              func(next http.Handler) http.Handler { return next },
	"basic authentication": middleware.BasicAuth("realm", map[string]string{"user": "password"}),
	"heartbeat":            middleware.Heartbeat("/orders/{id}"),
	"content type":         middleware.AllowContentType("application/json"),
	"maintenance": func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	},
	"panic": func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no session") })
	},
	"panic afterwards": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			panic("nothing written")
		})
	},
	"another context": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(context.Background())) })
	},
	"another request": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			r, _ := http.NewRequest(http.MethodGet, "/elsewhere", nil)
			next.ServeHTTP(w, r)
		})
	},
	"twice": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			next.ServeHTTP(w, r)
		})
	},
	"in a goroutine": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				next.ServeHTTP(w, r)
			}()
			<-done
		})
	},
	"an answer, and on": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write([]byte("early"))
			next.ServeHTTP(w, r)
		})
	},
}

// Other middlewares do not hide the requirements of the Guards around them, and no handler runs.
func TestMiddlewareHidesNoGuard(t *testing.T) {
	t.Parallel()
	for name, meddle := range meddling {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{})
			protect := func(req oauthz.Requirement) func(http.Handler) http.Handler { return authzchi.Protect(guard, req) }
			handler := forbidden(t)
			router := chi.NewRouter()
			sub := chi.NewRouter()
			sub.Use(meddle, protect(oauthz.Public()), meddle)
			sub.With(meddle, protect(read), meddle).Method("GET", "/{id}", handler)
			router.With(meddle).Method("GET", "/open", handler)
			router.With(protect(oauthz.Require()), meddle).Mount("/orders", sub)
			assert.Equal(t, []oauthz.Route{
				{Method: "GET", Pattern: "/open"},
				{Method: "GET", Pattern: "/orders/{id}", Guards: []oauthz.Requirement{oauthz.Require(), oauthz.Public(), read}},
			}, authzchi.Routes(router))
		})
	}
}

// Guards inside another middleware are found too. It gets the context values that an earlier middleware has set.
func TestGuardInOtherMiddleware(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	session := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), valueKey{}, read)))
		})
	}
	ofSession := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			authzchi.Protect(guard, r.Context().Value(valueKey{}).(oauthz.Requirement))(next).ServeHTTP(w, r)
		})
	}
	routing := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if chi.RouteContext(r.Context()).RoutePattern() == "/orders/{id}" && r.Pattern == "/orders/{id}" {
				next = authzchi.Protect(guard, oauthz.Require("of:pattern"))(next)
			}
			next.ServeHTTP(w, r)
		})
	}
	router := chi.NewRouter()
	router.With(session, meddling["maintenance"], ofSession, routing).Method("GET", "/orders/{id}", forbidden(t))
	assert.Equal(t, []oauthz.Route{
		{Method: "GET", Pattern: "/orders/{id}", Guards: []oauthz.Requirement{read, oauthz.Require("of:pattern")}},
	}, authzchi.Routes(router))
}

// A Guard for some methods is listed for these methods.
func TestGuardForSomeMethods(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	writes := func(next http.Handler) http.Handler {
		protected := authzchi.Protect(guard, oauthz.Require("orders:write"))(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.NotEqual(t, oauthz.AnyMethod, r.Method, "no request has this method")
			if r.Method == http.MethodPost {
				protected.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	router := chi.NewRouter()
	router.With(authzchi.Protect(guard, read), writes).Handle("/orders", forbidden(t))
	routes := authzchi.Routes(router)
	require.Len(t, routes, 2)
	assert.Equal(t, []oauthz.Route{
		{Method: "*", Pattern: "/orders", Guards: []oauthz.Requirement{read}},
		{Method: "POST", Pattern: "/orders", Guards: []oauthz.Requirement{read, oauthz.Require("orders:write")}},
	}, routes)
}

// A Guard whose refusals a middleware ignores protects nothing.
func TestMiddlewareThatIgnoresRefusals(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	protect := authzchi.Protect(guard, read)
	for name, ignoring := range map[string]func(next http.Handler) http.Handler{
		"the error is ignored": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if authorized, err := guard.Authorize(r, read); err == nil {
					r = authorized
				}
				next.ServeHTTP(w, r)
			})
		},
		"something else is protected": func(next http.Handler) http.Handler {
			audit := protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				audit.ServeHTTP(httptest.NewRecorder(), r)
				next.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler, router := &spy{}, chi.NewRouter()
			router.With(protect, ignoring).Method("GET", "/both", handler)
			router.With(ignoring).Handle("/ignoring", handler)
			router.With(protect).Method("GET", "/protected", handler)
			routes := authzchi.Routes(router)
			require.Len(t, routes, 3)
			for _, route := range routes[:2] {
				assert.ErrorContains(t, route.Err, "authzchi: route: a middleware calls a Guard and continues although the Guard refuses", route.Pattern)
			}
			require.NoError(t, routes[2].Err)
			assert.Zero(t, handler.ran.Load(), "the handler ran")
			assert.Equal(t, orders, serve(router, request("GET", "/ignoring", "")), "a request without a token is served")
		})
	}
}

// A middleware that ignores refusals for some methods is reported for these methods.
func TestMiddlewareThatIgnoresRefusalsForSomeMethods(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	router := chi.NewRouter()
	router.With(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			authorized, err := guard.Authorize(r, read)
			if err == nil || r.Method == http.MethodPost {
				next.ServeHTTP(w, cmp.Or(authorized, r))
			}
		})
	}).Handle("/orders", forbidden(t))
	routes := authzchi.Routes(router)
	require.Len(t, routes, 2)
	assert.Equal(t, oauthz.Route{Method: "*", Pattern: "/orders", Guards: []oauthz.Requirement{read}}, routes[0])
	assert.Equal(t, "POST", routes[1].Method)
	assert.Error(t, routes[1].Err)
}

// Middleware that notes in the request that it was there is not led astray.
func TestMiddlewareThatMarksTheRequest(t *testing.T) {
	t.Parallel()
	protect := authzchi.Protect(newGuard(t, oauthz.Config{}), read)
	once := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Checked") != "" {
				next.ServeHTTP(w, r)
				return
			}
			r.Header.Set("X-Checked", "yes")
			protect(next).ServeHTTP(w, r)
		})
	}
	router := chi.NewRouter()
	router.With(once).Method("GET", "/orders", forbidden(t))
	assert.Equal(t, []oauthz.Route{{Method: "GET", Pattern: "/orders", Guards: []oauthz.Requirement{read}}}, authzchi.Routes(router))
}
