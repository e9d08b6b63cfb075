package authzecho4_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho4"
	"github.com/oauthz/oauthz/oauthztest"
)

// lines returns a line for each route, in the order of routes.
func lines(routes []oauthz.Route) []string {
	var out []string
	for _, r := range routes {
		line := r.Method + " " + r.Pattern + ":"
		for _, req := range r.Guards {
			line += " [" + req.String() + "]"
		}
		if r.Err != nil {
			line += " " + r.Err.Error()
		}
		out = append(out, line)
	}
	return out
}

// remembers is a middleware that sets a value for later middlewares.
func remembers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Set("tenant", "t")
		type key struct{}
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), key{}, "kept")))
		return next(c)
	}
}

// tries is a middleware that calls next twice.
func tries(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error { return errors.Join(next(c), next(c)) }
}

// loses is a middleware that calls next with another request.
func loses(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.SetRequest(c.Request().WithContext(context.Background()))
		return next(c)
	}
}

// only applies m to the requests for which match returns true.
func only(match func(echo.Context) bool, m echo.MiddlewareFunc) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		protected := m(next)
		return func(c echo.Context) error {
			if match(c) {
				return protected(c)
			}
			return next(c)
		}
	}
}

// recorderTests register routes. with returns a middleware for a requirement.
var recorderTests = []struct {
	name     string
	register func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc)
	want     []string
}{
	{
		name: "the outermost first",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Group("/a", with(oauthz.Require("3"))).Group("/b", with(oauthz.Require("4"))).GET("/c", boom, with(oauthz.Require("5")))
			e.Use(with(oauthz.Require("2")))
			e.Pre(with(oauthz.Require("1")))
		},
		want: []string{`GET /a/b/c: [scope 1] [scope 2] [scope 3] [scope 4] [scope 5]`},
	},
	{
		name: "a value of an earlier middleware reaches a later one",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(remembers)
			e.GET("/a", boom, answers, only(func(c echo.Context) bool { return c.Get("tenant") == "t" }, with(read)))
		},
		want: []string{`GET /a: [scope orders:read]`},
	},
	{
		name: "by the pattern and the method",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(only(func(c echo.Context) bool { return c.Path() == "/b/:id" || c.Path() == `/b\:id/:x` }, with(read)))
			e.Pre(only(func(c echo.Context) bool { return c.Request().Method == "PUT" }, with(write)))
			e.GET("/a/:id", boom)
			e.GET("/b/:id", boom)
			e.PUT("/b/:id", boom)
			e.PUT(`/b\:id/:x`, boom)
		},
		want: []string{
			`GET /a/:id:`, `GET /b/:id: [scope orders:read]`, `PUT /b/:id: [scope orders:write] [scope orders:read]`,
			`PUT /b\:id/:x: [scope orders:write] [scope orders:read]`,
		},
	},
	{
		name: "a middleware that tries again",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(tries)
			e.GET("/a", boom, tries, with(read))
		},
		want: []string{`GET /a: [scope orders:read]`},
	},
	{
		name: "a middleware that makes another request",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(with(read), loses, with(oauthz.Public()))
			e.GET("/a", boom, with(oauthz.Public()))
		},
		want: []string{`GET /a: [scope orders:read]`},
	},
	{
		name: "the last of two",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.GET("/a", boom, with(read))
			e.GET("/b", boom)
			e.GET("a", boom, with(write))
		},
		want: []string{`GET /a: [scope orders:write]`, `GET /b:`},
	},
	{
		name: "paths without a route",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Group("/a", with(read)) // the group adds routes of its own, so that the Guard runs
			e.Group("/b").RouteNotFound("/*", boom, with(write))
			again := e.Group("/c")
			again.RouteNotFound("/*", boom)
			again.Use(with(read)) // replaces it
		},
		want: []string{`404 /b/*: [scope orders:write]`},
	},
	{
		name: "a pattern that leads to another route",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			ofParameters := only(func(c echo.Context) bool { return c.Path() == "/a/:id" }, with(read))
			e.Use(ofParameters)
			e.GET("/a/:id", boom)
			e.GET("/a/*", boom, ofParameters)
			e.RouteNotFound("/a/*", boom)
		},
		want: []string{`GET /a/:id: [scope orders:read]`, `GET /a/*:`, `404 /a/*:`},
	},
	{
		name: "a pattern that is not reached",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(answers)
			e.GET("/a/:id", boom, only(func(c echo.Context) bool { return c.Path() == "/a/:id" }, with(read)))
		},
		want: []string{`GET /a/:id: [scope orders:read]` + hidden},
	},
	{
		name: "a method without a route",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(only(func(c echo.Context) bool { return c.Request().Method != http.MethodPost }, with(read)))
			e.RouteNotFound("/a", boom)
		},
		want: []string{`404 /a: [scope orders:read] authzecho4: route: its requirements depend on the method`},
	},
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	for _, tt := range recorderTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{})
			e := quiet(nil)
			recorder := authzecho4.Record(e)
			tt.register(e, func(req oauthz.Requirement) echo.MiddlewareFunc { return protect(guard, req) })
			assert.Equal(t, tt.want, lines(recorder.Routes()))
		})
	}
}

// Middlewares of groups and routes that answer do not hide the Guards behind them.
func TestAnswersHideNothing(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for name, m := range map[string]echo.MiddlewareFunc{"answers": answers, "fails": fails, "panics": panics} {
		e := quiet(nil)
		recorder := authzecho4.Record(e)
		e.Pre(protect(guard, oauthz.Require("1")))
		e.Use(protect(guard, oauthz.Require("2")))
		e.Group("", m, protect(guard, oauthz.Require("3"))).GET("/a", boom, m, protect(guard, oauthz.Require("4")))
		assert.Equal(t, []string{`GET /a: [scope 1] [scope 2] [scope 3] [scope 4]`}, lines(recorder.Routes()), name)
	}
}

// hidden is the Err of a route behind a middleware that answers.
const hidden = " authzecho4: route: a middleware of Pre or Use answered the request, so the middlewares after it are not known: let it skip requests to probe.invalid"

// Middlewares of Pre and Use that answer do, because the code behind them cannot be reached. The table reports it, and fails.
func TestAnswersBeforeTheRouter(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for name, m := range map[string]echo.MiddlewareFunc{"answers": answers, "fails": fails, "panics": panics} {
		for _, at := range []string{"Pre", "Use"} {
			e := quiet(func(error, echo.Context) { t.Error("an error handler ran") })
			recorder := authzecho4.Record(e)
			map[string]func(...echo.MiddlewareFunc){"Pre": e.Pre, "Use": e.Use}[at](m, protect(guard, oauthz.Require("1")))
			e.GET("/a", boom, protect(guard, read))
			assert.Equal(t, []string{`GET /a: [scope orders:read]` + hidden}, lines(recorder.Routes()), name+at)
			behind := quiet(nil)
			after := authzecho4.Record(behind)
			map[string]func(...echo.MiddlewareFunc){"Pre": behind.Pre, "Use": behind.Use}[at](protect(guard, oauthz.Require("1")), m)
			behind.GET("/a", boom)
			assert.Equal(t, []string{`GET /a: [scope 1]` + hidden}, lines(after.Routes()), name+at)
			var fake failures
			oauthztest.RouteTable(&fake, recorder.Routes())
			assert.Equal(t, []string{"GET /a: the requirements are not known:" + hidden}, fake.texts)
		}
	}
}

// Middlewares of Pre that redirect let the probe pass.
func TestRedirectsBeforeTheRouter(t *testing.T) {
	t.Parallel()
	e := echo.New()
	recorder := authzecho4.Record(e)
	e.Pre(middleware.HTTPSRedirect(), middleware.RemoveTrailingSlashWithConfig(middleware.TrailingSlashConfig{RedirectCode: 301}))
	e.GET("/a", boom, protect(newGuard(t, oauthz.Config{}), read))
	assert.Equal(t, []string{`GET /a: [scope orders:read]`}, lines(recorder.Routes()))
}

// Echo reads the slice of the program at each request, unless a group has copied it. The table shows the current middlewares.
func TestMiddlewaresOfTheProgram(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := quiet(nil)
	recorder := authzecho4.Record(e)
	middlewares := []echo.MiddlewareFunc{protect(guard, read)}
	e.GET("/a", hello, middlewares...)
	e.Group("").GET("/b", hello, middlewares...)
	middlewares[0] = protect(guard, oauthz.Public())
	assert.Equal(t, 200, serve(e, http.MethodGet, "/a", "").Code)
	assert.Equal(t, 401, serve(e, http.MethodGet, "/b", "").Code)
	assert.Equal(t, []string{`GET /a: [public]`, `GET /b: [scope orders:read]`}, lines(recorder.Routes()))
}

// A Recorder does not change the server, and finds routes that are registered between two calls of Routes.
func TestRecorderIsInert(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := quiet(func(_ error, c echo.Context) { _ = c.String(http.StatusTeapot, "told") })
	recorder := authzecho4.Record(e)
	e.GET("/a", hello, protect(guard, read))
	assert.Equal(t, []string{`GET /a: [scope orders:read]`}, lines(recorder.Routes()))
	assert.Equal(t, 401, serve(e, http.MethodGet, "/a", "").Code)
	assert.Equal(t, "hello alice", serve(e, http.MethodGet, "/a", "alice").Body.String())

	assert.Equal(t, "told", serve(e, http.MethodGet, "/nowhere", "").Body.String())
	e.GET("/pattern", func(c echo.Context) error { return c.String(http.StatusOK, c.Path()) }, protect(guard, oauthz.Public()))
	assert.Equal(t, "/pattern", serve(e, http.MethodGet, "/pattern", "").Body.String())

	e.Use(protect(guard, oauthz.Require()))
	e.GET("/b", hello)
	assert.Equal(t, []string{
		`GET /a: [any valid token] [scope orders:read]`, `GET /pattern: [any valid token] [public]`, `GET /b: [any valid token]`,
	}, lines(recorder.Routes()))
	assert.Equal(t, "hello alice", serve(e, http.MethodGet, "/b", "alice").Body.String())
}

// The routes of a host have the host in their pattern. The middlewares before the router get requests to that host.
func TestRoutesOfHosts(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho4.Record(e)
	e.Use(only(func(c echo.Context) bool { return c.Request().Host == "admin.example:8080" && c.Path() == "/a/:id" }, protect(guard, write)))
	e.Host("admin.example:8080", protect(guard, oauthz.Require())).GET("/a/:id", boom, protect(guard, read))
	e.Host("www.example").GET("/a/:id", boom)
	e.GET("/a/:id", boom, protect(guard, read))
	assert.Equal(t, []string{
		`GET admin.example:8080/a/:id: [scope orders:write] [any valid token] [scope orders:read]`,
		`GET www.example/a/:id:`,
		`GET /a/:id: [scope orders:read]`,
	}, lines(recorder.Routes()))
}

// The routes for all methods are one route, if their requirements are the same.
func TestRoutesForAllMethods(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho4.Record(e)
	e.Any("/a", boom, protect(guard, read))
	e.Add("LOCK", "/a", boom, protect(guard, read))
	e.Any("/b", boom)
	e.PUT("/b", boom, protect(guard, write))
	e.Match([]string{"GET", "PUT"}, "/c", boom)
	got := lines(recorder.Routes())
	require.Len(t, got, 1+1+11+2)
	assert.Equal(t, []string{"* /a: [scope orders:read]", "LOCK /a: [scope orders:read]"}, got[:2])
	assert.Contains(t, got, "PUT /b: [scope orders:write]")
	assert.Contains(t, got, "GET /b:")
	assert.Equal(t, []string{"GET /c:", "PUT /c:"}, got[13:])
}

// An earlier hook is still called.
func TestRecordKeepsTheHook(t *testing.T) {
	t.Parallel()
	var seen []string
	e := echo.New()
	e.OnAddRouteHandler = func(host string, r echo.Route, _ echo.HandlerFunc, middlewares []echo.MiddlewareFunc) {
		seen = append(seen, fmt.Sprint(host, r.Method, r.Path, len(middlewares)))
	}
	recorder := authzecho4.Record(e)
	e.GET("/a", boom, answers)
	assert.Equal(t, []string{"GET/a1"}, seen)
	assert.Equal(t, []string{"GET /a:"}, lines(recorder.Routes()))
}

func TestRecordComesFirst(t *testing.T) {
	t.Parallel()
	e := echo.New()
	e.GET("/a", boom)
	assert.PanicsWithValue(t, "authzecho4: Record: there are routes already: call it right after echo.New", func() { authzecho4.Record(e) })
	hosts := echo.New()
	hosts.Host("a.example").GET("/a", boom)
	assert.Panics(t, func() { authzecho4.Record(hosts) })
	assert.PanicsWithValue(t, "authzecho4: Record: nil Echo", func() { authzecho4.Record(nil) })
}
