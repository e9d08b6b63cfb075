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
	unheeded = "authzchi: route: a middleware asks a Guard, and goes on when that refuses"
	blocked  = "authzchi: route: a middleware that asks a Guard answers by itself"
	depends  = "authzchi: route: which Guards a middleware asks depends on the request"
)

// write is the Requirement of the second Guard of a middleware. No token of the tests meets it.
var write = oauthz.Require("orders:write")

type decide func(next http.Handler, w http.ResponseWriter, r *http.Request)

// made returns a middleware that handles each request with do.
func made(do decide) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { do(next, w, r) })
	}
}

// customTests are middlewares that ask two Guards, in many ways.
var customTests = []struct {
	name       string
	middleware func(read, write *asked) func(http.Handler) http.Handler
	err        string // "": both are required
}{
	{name: "both are heeded", middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			read.protect(write.protect(next)).ServeHTTP(w, r)
		})
	}},
	{name: "both are heeded, and next is called twice", middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
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
	{name: "the second is not heeded", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			read.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = write.authorize(r)
				next.ServeHTTP(w, r)
			})).ServeHTTP(w, r)
		})
	}},
	{name: "the first is not heeded, the second is", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			_, _ = write.authorize(r)
			read.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "the second comes after the handler", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			read.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				if _, err := write.authorize(r); err != nil {
					write.guard.WriteError(httptest.NewRecorder(), r, err)
				}
			})).ServeHTTP(w, r)
		})
	}},
	{name: "one or the other", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
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
	{name: "refused only if one of the two is", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			_, e1 := read.authorize(r)
			_, e2 := write.authorize(r)
			if (e1 == nil) != (e2 == nil) {
				read.guard.WriteError(w, r, errors.Join(e1, e2))
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{name: "no token is let through", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if _, err := read.authorize(r); err != nil && !errors.Is(err, oauthz.ErrNoToken) {
				read.guard.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{name: "an outage is let through", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if _, err := read.authorize(r); err != nil && !errors.Is(err, oauthz.ErrUnavailable) {
				read.guard.WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{name: "lacking a scope is let through", err: unheeded, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			recorder := httptest.NewRecorder()
			write.protect(next).ServeHTTP(recorder, r)
			if recorder.Code == http.StatusForbidden {
				next.ServeHTTP(w, r)
			}
		})
	}},
	{name: "one for those with a cookie", err: depends, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if len(r.Cookies()) > 0 {
				read.protect(next).ServeHTTP(w, r)
				return
			}
			write.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "none for those with an API key", err: depends, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-API-Key") != "" {
				next.ServeHTTP(w, r)
				return
			}
			write.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "none for preflights", err: depends, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Access-Control-Request-Method") != "" {
				next.ServeHTTP(w, r)
				return
			}
			write.protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "one, then the other, in turn", err: depends, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		var n atomic.Int64
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			[]*asked{read, write}[n.Add(1)%2].protect(next).ServeHTTP(w, r)
		})
	}},
	{name: "something else is answered", err: blocked, middleware: func(read, write *asked) func(http.Handler) http.Handler {
		return made(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			_, _ = read.authorize(r)
			if r.Header.Get("X-Tenant") == "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
}

// asked is a Guard and its Requirement.
type asked struct {
	guard *oauthz.Guard
	req   oauthz.Requirement
}

func (a *asked) protect(next http.Handler) http.Handler {
	return authzchi.Protect(a.guard, a.req)(next)
}

func (a *asked) authorize(r *http.Request) (*http.Request, error) {
	return a.guard.Authorize(r, a.req)
}

// The table requires no more than the handler does: where a middleware goes on without one of its Guards, there is an Err.
func TestTableRequiresNoMoreThanIsHeeded(t *testing.T) {
	t.Parallel()
	for _, tt := range customTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			one, other := newGuard(t, oauthz.Config{}), newGuard(t, oauthz.Config{})
			for _, guards := range [][2]*oauthz.Guard{{one, one}, {one, other}} {
				custom := tt.middleware(&asked{guards[0], read}, &asked{guards[1], write})
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
				assert.Equal(t, oauthz.Route{Method: "GET", Pattern: "/without", Requirements: []oauthz.Requirement{read}}, routes[3])
				for i, want := range [][]oauthz.Requirement{{oauthz.Require(), read, write}, {read, write}, {read, write, oauthz.Public()}} {
					if tt.err != "" {
						assert.ErrorContains(t, routes[i].Err, tt.err, routes[i].Pattern)
						continue
					}
					require.NoError(t, routes[i].Err)
					assert.Equal(t, want, routes[i].Requirements)
				}
			}
		})
	}
}

// The handler runs for requests that the Guards refuse: the Err is right.
func TestHandlerBehindGuardsThatAreNotHeeded(t *testing.T) {
	t.Parallel()
	for _, tt := range customTests {
		if tt.err != unheeded && tt.err != depends {
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
					router.With(tt.middleware(&asked{guard, read}, &asked{guard, write})).Method("GET", "/orders", handler)
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
