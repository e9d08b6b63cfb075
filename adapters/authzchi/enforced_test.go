package authzchi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

// The reasons in the Err of a route.
const (
	notEnforced   = "authzchi: route: a middleware calls a Guard and continues although the Guard refuses"
	answersItself = "authzchi: route: a middleware that calls a Guard answers the request itself"
	depends       = "authzchi: route: a middleware calls other Guards, or none, depending on the request"
)

// write is the requirement of the second Guard of a middleware. No token of the tests meets it.
var write = oauthz.Require("orders:write")

type decide func(next http.Handler, w http.ResponseWriter, r *http.Request)

// middlewareOf returns a middleware that handles each request with do.
func middlewareOf(do decide) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { do(next, w, r) })
	}
}

// customTests are middlewares that call two Guards, in many ways.
var customTests = []struct {
	name       string
	middleware func(read, write *rule) func(http.Handler) http.Handler
	err        string // "": both are required
}{
	{name: "both are enforced", middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			read.protect(write.protect(next)).ServeHTTP(w, r)
		})
	}},
	{name: "both are enforced, and next is called twice", middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			inner, err := read.authorize(r)
			if err == nil {
				inner, err = write.authorize(inner)
			}
			if err != nil {
				read.guard.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, inner)
			next.ServeHTTP(w, inner)
		})
	}},
	{name: "the second is not enforced", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			read.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = write.authorize(r)
				next.ServeHTTP(w, r)
			})).ServeHTTP(w, r)
		})
	}},
	{name: "the first is not enforced, the second is", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			_, _ = write.authorize(r)
			read.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "the second comes after the handler", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			read.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				if _, err := write.authorize(r); err != nil {
					write.guard.WriteError(httptest.NewRecorder(), r, err)
				}
			})).ServeHTTP(w, r)
		})
	}},
	{name: "one or the other", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			inner, err := write.authorize(r)
			if err != nil {
				inner, err = read.authorize(r)
			}
			if err != nil {
				read.guard.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, inner)
		})
	}},
	{name: "refused only if one of the two is", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			_, e1 := read.authorize(r)
			_, e2 := write.authorize(r)
			if (e1 == nil) != (e2 == nil) {
				read.guard.WriteError(w, r, errors.Join(e1, e2))
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{name: "no token is let through", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if _, err := read.authorize(r); err != nil && !errors.Is(err, oauthz.ErrNoToken) {
				read.guard.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{name: "an outage is let through", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if _, err := read.authorize(r); err != nil && !errors.Is(err, oauthz.ErrUnavailable) {
				read.guard.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{name: "lacking a scope is let through", err: notEnforced, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			recorder := httptest.NewRecorder()
			write.protect(next).ServeHTTP(recorder, r)
			if recorder.Code == http.StatusForbidden {
				next.ServeHTTP(w, r)
			}
		})
	}},
	{name: "one for those with a cookie", err: depends, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if len(r.Cookies()) > 0 {
				read.protect(next).ServeHTTP(w, r)
				return
			}
			write.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "none for those with an API key", err: depends, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-API-Key") != "" {
				next.ServeHTTP(w, r)
				return
			}
			write.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "none for preflights", err: depends, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Access-Control-Request-Method") != "" {
				next.ServeHTTP(w, r)
				return
			}
			write.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "one, then the other, in turn", err: depends, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		var n atomic.Int64
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			[]*rule{read, write}[n.Add(1)%2].protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "something else is answered", err: answersItself, middleware: func(read, write *rule) func(http.Handler) http.Handler {
		return middlewareOf(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			_, _ = read.authorize(r)
			if r.Header.Get("X-Tenant") == "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
}

// rule is a Guard and its requirement.
type rule struct {
	guard *oauthz.Guard
	req   oauthz.Requirement
}

func (a *rule) protect(next http.Handler) http.Handler {
	return authzchi.Protect(a.guard, a.req)(next)
}

func (a *rule) authorize(r *http.Request) (*http.Request, error) {
	return a.guard.Authorize(r, a.req)
}

// The table lists only enforced requirements: a middleware that continues although one of its Guards refuses causes an Err.
func TestTableListsOnlyEnforcedRequirements(t *testing.T) {
	t.Parallel()
	for _, tt := range customTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			one, other := newGuard(t, oauthz.Config{}), newGuard(t, oauthz.Config{})
			for _, guards := range [][2]*oauthz.Guard{{one, one}, {one, other}} {
				custom := tt.middleware(&rule{guards[0], read}, &rule{guards[1], write})
				router := chi.NewRouter()
				router.With(custom).Method("GET", "/route", forbidden(t))
				router.Group(func(r chi.Router) {
					r.Use(authzchi.Protect(one, oauthz.Require()), custom)
					r.Method("GET", "/group", forbidden(t))
				})
				router.Route("/sub", func(r chi.Router) {
					r.Use(custom, authzchi.Protect(other, oauthz.Public()))
					r.Method("GET", "/", forbidden(t))
				})
				router.With(authzchi.Protect(one, read)).Method("GET", "/without", forbidden(t))
				routes := authzchi.Routes(router)
				require.Len(t, routes, 4)
				assert.Equal(t, oauthz.Route{Method: "GET", Pattern: "/without", Guards: []oauthz.Requirement{read}}, routes[3])
				for i, want := range [][]oauthz.Requirement{{oauthz.Require(), read, write}, {read, write}, {read, write, oauthz.Public()}} {
					if tt.err != "" {
						assert.ErrorContains(t, routes[i].Err, tt.err, routes[i].Pattern)
						continue
					}
					require.NoError(t, routes[i].Err)
					assert.Equal(t, want, routes[i].Guards)
				}
			}
		})
	}
}

// Behind such a middleware the handler runs for requests that the Guards refuse: the Err is right.
func TestHandlerRunsBehindGuardsThatAreNotEnforced(t *testing.T) {
	t.Parallel()
	for _, tt := range customTests {
		if tt.err != notEnforced && tt.err != depends {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			down := newGuard(t, oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
				return nil, errors.New("down")
			})})
			ran := false
			for _, guard := range []*oauthz.Guard{newGuard(t, oauthz.Config{}), down} {
				for _, token := range []string{"", "good", "other"} {
					handler, router := &spy{}, chi.NewRouter()
					router.With(tt.middleware(&rule{guard, read}, &rule{guard, write})).Method("GET", "/orders", handler)
					for _, field := range []string{"X-Api-Key", "Cookie", "Access-Control-Request-Method"} {
						r := request("GET", "/orders", token)
						r.Header.Set(field, "a=b")
						serve(router, r)
					}
					ran = ran || handler.ran.Load() > 0
				}
			}
			assert.True(t, ran, "no token meets what the second Guard requires")
		})
	}
}
