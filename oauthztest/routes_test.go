package oauthztest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
)

// note is a test that records its failures.
type note struct {
	testing.TB
	errors []string
}

func (n *note) Helper()           {}
func (n *note) Error(args ...any) { n.errors = append(n.errors, fmt.Sprint(args...)) }
func (n *note) Errorf(format string, args ...any) {
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

func newGuard(t *testing.T) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
		t.Error("the introspector was asked")
		return nil, oauthz.ErrInvalidToken
	})})
	require.NoError(t, err)
	return guard
}

// harmful is a handler that must not run.
var harmful = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a handler ran") })

// registrar has the methods of a mux that a program needs.
type registrar interface {
	Handle(pattern string, handler http.Handler)
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

func orders(mux registrar, guard *oauthz.Guard) {
	clerk := guard.Protect(oauthz.RequireClaim("roles", "clerk"))
	mux.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read").OrAnonymous())(harmful))
	mux.Handle("POST /orders", clerk(guard.Protect(oauthz.All(oauthz.Require("orders:write"), oauthz.RequireMaxAge(5*time.Minute)))(harmful)))
	mux.Handle("DELETE\t/orders/{id}", clerk(guard.Protect(oauthz.RequireACR("gold"))(harmful)))
	mux.Handle("api.example/reports/", guard.Protect(oauthz.RequireAny("reports:read", "admin"))(harmful))
	mux.Handle("GET /health", guard.Protect(oauthz.Public())(harmful))
}

const ordersTable = `GET     /health                         public
GET     /orders                         scope orders:read or anonymous
POST    /orders                         all(claim "roles" in ["clerk"], all(scope orders:write, max_age 300))
DELETE  /orders/{id}                    all(claim "roles" in ["clerk"], acr gold)
*       api.example/reports/            any(scope reports:read, scope admin)
`

func TestRouteTable(t *testing.T) {
	t.Parallel()
	mux := &oauthztest.Mux{}
	orders(mux, newGuard(t))
	assert.Equal(t, ordersTable, oauthztest.RouteTable(t, mux.Routes()))
}

// A route without a Guard fails the test, which names the route, even if other routes with the same pattern are protected.
func TestRouteTableNamesUnprotectedRoutes(t *testing.T) {
	t.Parallel()
	guard := newGuard(t)
	for _, tt := range []struct {
		name     string
		register func(*oauthztest.Mux)
		want     string
	}{
		{name: "a handler", register: func(m *oauthztest.Mux) { m.Handle("PUT /orders/{id}", harmful) }, want: "PUT /orders/{id}: no Guard protects this route"},
		{name: "a function", register: func(m *oauthztest.Mux) { m.HandleFunc("PUT /orders/{id}", harmful) }, want: "PUT /orders/{id}: no Guard protects this route"},
		{name: "any method", register: func(m *oauthztest.Mux) { m.Handle("/new", harmful) }, want: "* /new: no Guard protects this route"},
		{name: "any method, behind a space", register: func(m *oauthztest.Mux) { m.Handle(" /new", harmful) }, want: "* /new: no Guard protects this route"},
		{name: "a Guard that is not the outermost", register: func(m *oauthztest.Mux) {
			m.Handle("/new", http.StripPrefix("/new", guard.Protect(oauthz.Require())(harmful)))
		}, want: "* /new: no Guard protects this route"},
		{name: "a route of a mux below", register: func(m *oauthztest.Mux) {
			below := &oauthztest.Mux{}
			below.Handle("GET /new/{id}", harmful)
			m.Handle("/new/", below)
		}, want: "GET /new/{id}: no Guard protects this route"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mux, failed := &oauthztest.Mux{}, &note{TB: t}
			orders(mux, guard)
			tt.register(mux)
			table := oauthztest.RouteTable(failed, mux.Routes())
			require.Len(t, failed.errors, 1)
			assert.Contains(t, failed.errors[0], tt.want)
			assert.Contains(t, failed.errors[0], "oauthz.Public()")
			assert.Equal(t, 1, strings.Count(table, " NOT PROTECTED\n"))
		})
	}
}

func TestRouteTableOfAGroup(t *testing.T) {
	t.Parallel()
	guard := newGuard(t)
	below := &oauthztest.Mux{}
	below.Handle("GET /admin/users", guard.Protect(oauthz.Require("users:read"))(harmful))
	below.Handle("GET /admin/", harmful)
	mux := &oauthztest.Mux{}
	mux.Handle("/admin/", guard.Protect(oauthz.RequireACR("gold"))(below))
	assert.Equal(t, ""+
		"GET     /admin/                         acr gold\n"+
		"GET     /admin/users                    all(acr gold, scope users:read)\n", oauthztest.RouteTable(t, mux.Routes()))
}

// hiddenGroup returns a Mux with a group, and with routes that hide some routes of the group.
func hiddenGroup(guard *oauthz.Guard) *oauthztest.Mux {
	protect, open := guard.Protect(oauthz.Require("users:read")), guard.Protect(oauthz.Public())
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux, below, deep := &oauthztest.Mux{}, &oauthztest.Mux{}, &oauthztest.Mux{}
	deep.Handle("/admin/deep/{id}", protect(answer))
	below.Handle("GET /admin/users", protect(answer))
	below.Handle("GET /admin/users/", protect(answer))
	below.Handle("/admin/any/{id}", protect(answer))
	below.Handle("/admin/files/{path...}", protect(answer))
	below.Handle("/admin/{$}", protect(answer))
	below.Handle("/admin/deep/", deep)
	mux.Handle("/admin/", below)
	mux.Handle("GET /admin/{x}", open(answer))
	mux.Handle("GET /admin/users/{x}", open(answer)) // but not below that
	mux.Handle("/admin/files/{x}", open(answer))
	mux.Handle("/admin/any/{x}", open(answer))
	mux.Handle("/admin/deep/{x}", open(answer))
	return mux
}

// A more specific route of an outer mux answers the requests for a route of an inner mux. The row of the inner route has an Err.
func TestRouteTableOfAGroupThatAnotherRouteHides(t *testing.T) {
	t.Parallel()
	mux := hiddenGroup(newGuard(t))
	failed := &note{TB: t}
	table := oauthztest.RouteTable(failed, mux.Routes())
	assert.Equal(t, ""+
		"*       /admin/any/{id}                 unknown\n"+
		"*       /admin/any/{x}                  public\n"+
		"*       /admin/deep/{id}                unknown\n"+
		"*       /admin/deep/{x}                 public\n"+
		"*       /admin/files/{path...}          scope users:read\n"+
		"*       /admin/files/{x}                public\n"+
		"GET     /admin/users                    unknown\n"+
		"GET     /admin/users/                   scope users:read\n"+
		"GET     /admin/users/{x}                public\n"+
		"*       /admin/{$}                      scope users:read\n"+
		"GET     /admin/{x}                      public\n", table)
	require.Len(t, failed.errors, 3)
	assert.Contains(t, failed.errors, "GET /admin/users: the requirements are not known: oauthztest: Mux: another route, of an outer Mux, answers its requests")
	for path, want := range map[string]int{"/admin/users": 204, "/admin/any/7": 204, "/admin/deep/7": 204, "/admin/files/a/b": 401, "/admin/users/7": 204, "/admin/users/7/8": 401} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		assert.Equal(t, want, w.Code, path)
	}
}

// The table is sorted by pattern and method, and the slice of the caller does not change.
func TestRouteTableOrder(t *testing.T) {
	t.Parallel()
	route := func(method, pattern string) oauthz.Route {
		return oauthz.Route{Method: method, Pattern: pattern, Guards: []oauthz.Requirement{oauthz.Public()}}
	}
	routes := []oauthz.Route{route("GET", "/b"), route("POST", "/a"), route("*", "/b"), route("GET", "/a")}
	before := slices.Clone(routes)
	assert.Equal(t, ""+
		"GET     /a                              public\n"+
		"POST    /a                              public\n"+
		"*       /b                              public\n"+
		"GET     /b                              public\n", oauthztest.RouteTable(t, routes))
	assert.Equal(t, before, routes)
}

func TestRouteTableSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	failed := &note{TB: t}
	table := oauthztest.RouteTable(failed, []oauthz.Route{{Method: "GET", Pattern: "/x", Guards: []oauthz.Requirement{oauthz.Public()}, Err: errors.New("hidden")}})
	assert.Equal(t, "GET     /x                              unknown\n", table)
	assert.Equal(t, []string{"GET /x: the requirements are not known: hidden"}, failed.errors)
	failed = &note{TB: t}
	assert.Empty(t, oauthztest.RouteTable(failed, nil))
	require.Len(t, failed.errors, 1)
	assert.Contains(t, failed.errors[0], "no routes")
}

// A route that is there twice with the same requirements has one line, and no pattern can forge a second line.
func TestRouteTableLines(t *testing.T) {
	t.Parallel()
	route := func(pattern string, req oauthz.Requirement) oauthz.Route {
		return oauthz.Route{Method: "GET", Pattern: pattern, Guards: []oauthz.Requirement{req}}
	}
	a, b := oauthz.Require("a"), oauthz.Require("b")
	assert.Equal(t, ""+
		"GET     \"\"                              scope a\n"+
		"GET     \"/x  public\\nGET /y\"            scope a\n"+
		"GET     /z                              scope a\n",
		oauthztest.RouteTable(t, []oauthz.Route{route("/z", a), route("/x  public\nGET /y", a), route("/z", a), route("", a)}))
	failed := &note{TB: t}
	oauthztest.RouteTable(failed, []oauthz.Route{route("/z", a), route("/y", b), route("/z", b)})
	assert.Equal(t, []string{"GET /z: the route is listed twice, with different requirements: it is not known which of them serves"}, failed.errors)
}

// A Mux serves as a ServeMux does, and panics for the same patterns.
func TestMuxServes(t *testing.T) {
	t.Parallel()
	mux := &oauthztest.Mux{}
	mux.Handle("GET /orders", http.NotFoundHandler())
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for path, want := range map[string]int{"/orders": http.StatusNotFound, "/health": http.StatusNoContent, "/else": http.StatusNotFound} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		assert.Equal(t, want, w.Code, path)
	}
	assert.Panics(t, func() { mux.Handle("GET /orders", http.NotFoundHandler()) }, "a second time")
	assert.Panics(t, func() { mux.HandleFunc("GET  bad", nil) })
	assert.Len(t, mux.Routes(), 2)
}

func TestGolden(t *testing.T) { // no t.Parallel: it sets the environment
	file := filepath.Join(t.TempDir(), "testdata", "routes.txt")
	const table = "GET /a  scope a\nGET /b  scope b\n"

	failed := &note{TB: t}
	oauthztest.Golden(failed, file, table)
	require.Len(t, failed.errors, 2, "there is no file")
	assert.Contains(t, failed.errors[0], "OAUTHZTEST_UPDATE=1")

	t.Setenv("OAUTHZTEST_UPDATE", "1")
	oauthztest.Golden(t, file, table)
	t.Setenv("OAUTHZTEST_UPDATE", "0")
	oauthztest.Golden(t, file, table)
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(table, "\n", "\r\n")), 0o600))
	oauthztest.Golden(t, file, table)

	for got, want := range map[string]string{
		"GET /a  public\nGET /b  scope b\n":                  "- GET /a  scope a\n+ GET /a  public\n",
		"GET /a  scope a\n":                                  "- GET /b  scope b\n",
		"GET /a  scope a\nGET /b  scope b\nGET /c  public\n": "+ GET /c  public\n",
		"GET /b  scope b\nGET /a  scope a\n":                 "the same lines, in another order or number\n",
		"":                                                   "- GET /a  scope a\n- GET /b  scope b\n",
	} {
		failed := &note{TB: t}
		oauthztest.Golden(failed, file, got)
		require.Len(t, failed.errors, 1)
		assert.True(t, strings.HasSuffix(failed.errors[0], ":\n"+want), failed.errors[0])
	}
}
