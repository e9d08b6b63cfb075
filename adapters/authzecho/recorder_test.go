package authzecho_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho"
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
	return func(c *echo.Context) error {
		c.Set("tenant", "t")
		type key struct{}
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), key{}, "kept")))
		return next(c)
	}
}

// tries is a middleware that calls next twice.
func tries(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error { return errors.Join(next(c), next(c)) }
}

// loses is a middleware that calls next with another request.
func loses(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		c.SetRequest(c.Request().WithContext(context.Background()))
		return next(c)
	}
}

// only applies m to the requests for which match returns true.
func only(match func(*echo.Context) bool, m echo.MiddlewareFunc) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		protected := m(next)
		return func(c *echo.Context) error {
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
			e.GET("/a", boom, answers, only(func(c *echo.Context) bool { return c.Get("tenant") == "t" }, with(read)))
		},
		want: []string{`GET /a: [scope orders:read]`},
	},
	{
		name: "by the pattern and the method",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(only(func(c *echo.Context) bool { return c.Path() == "/b/:id" || c.Path() == `/b\:id/:x` }, with(read)))
			e.Pre(only(func(c *echo.Context) bool { return c.Request().Method == "PUT" }, with(write)))
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
		name: "a pattern without its slash",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.GET("a", boom, only(func(c *echo.Context) bool { return c.Path() == "/a" && c.Request().URL.Path == "/a" }, with(read)))
		},
		want: []string{`GET /a: [scope orders:read]`},
	},
	{
		name: "a method among all",
		register: func(e *echo.Echo, with func(oauthz.Requirement) echo.MiddlewareFunc) {
			e.Use(only(func(c *echo.Context) bool { return c.Request().Method != http.MethodPost }, with(read)))
			e.Any("/a", boom)
			e.RouteNotFound("/b", boom)
		},
		want: []string{
			`* /a: [scope orders:read] authzecho: route: its requirements depend on the method: register it for each method`,
			`404 /b: [scope orders:read] authzecho: route: its requirements depend on the method: register it for each method`,
		},
	},
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	for _, tt := range recorderTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{})
			e := echo.NewWithConfig(echo.Config{Logger: quiet()})
			recorder := authzecho.Record(e)
			tt.register(e, func(req oauthz.Requirement) echo.MiddlewareFunc { return protect(guard, req) })
			assert.Equal(t, tt.want, lines(recorder.Routes()))
		})
	}
}

// Middlewares that answer do not hide the Guards behind them, wherever they stand.
func TestAnswersHideNothing(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for name, m := range map[string]echo.MiddlewareFunc{"answers": answers, "fails": fails, "panics": panics} {
		e := echo.NewWithConfig(echo.Config{Logger: quiet()})
		recorder := authzecho.Record(e)
		e.Pre(m, protect(guard, oauthz.Require("1")))
		e.Use(m, protect(guard, oauthz.Require("2")))
		e.Group("", m, protect(guard, oauthz.Require("3"))).GET("/a", boom, m, protect(guard, oauthz.Require("4")))
		assert.Equal(t, []string{`GET /a: [scope 1] [scope 2] [scope 3] [scope 4]`}, lines(recorder.Routes()), name)
	}
}

// The router reads the middlewares of a route when it is registered. Later changes of the slice affect neither the router nor
// the table.
func TestMiddlewaresOfTheProgram(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho.Record(e)
	middlewares := []echo.MiddlewareFunc{protect(guard, read)}
	e.GET("/a", hello, middlewares...)
	middlewares[0] = protect(guard, oauthz.Public())
	assert.Equal(t, 401, serve(e, http.MethodGet, "/a", "").Code)
	assert.Equal(t, []string{`GET /a: [scope orders:read]`}, lines(recorder.Routes()))
}

// A Recorder does not change the server, and finds routes that are registered between two calls of Routes.
func TestRecorderIsInert(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho.Record(e)
	e.GET("/a", hello, protect(guard, read))
	assert.Equal(t, []string{`GET /a: [scope orders:read]`}, lines(recorder.Routes()))
	assert.Equal(t, 401, serve(e, http.MethodGet, "/a", "").Code)
	assert.Equal(t, "hello alice", serve(e, http.MethodGet, "/a", "alice").Body.String())

	e.Use(protect(guard, oauthz.Require()))
	e.GET("/b", hello)
	assert.Equal(t, []string{`GET /a: [any valid token] [scope orders:read]`, `GET /b: [any valid token]`}, lines(recorder.Routes()))
	assert.Equal(t, "hello alice", serve(e, http.MethodGet, "/b", "alice").Body.String())
}

// Routes that were removed from the router are not listed. Routes that were added to it directly have an Err.
func TestRecorderAndRouter(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho.Record(e)
	e.Use(protect(guard, read))
	e.GET("/a", boom)
	e.GET("/b", boom)
	require.NoError(t, e.Router().Remove("GET", "/a"))
	_, err := e.Router().Add(echo.Route{Method: "GET", Path: "/c", Handler: boom})
	require.NoError(t, err)
	assert.Equal(t, []string{
		`GET /b: [scope orders:read]`,
		`GET /c: [scope orders:read] authzecho: route: it was added to the router directly, not through Echo or a Group`,
	}, lines(recorder.Routes()))
}

// An earlier hook is still called, and may refuse a route.
func TestRecordKeepsTheHook(t *testing.T) {
	t.Parallel()
	var seen []string
	e := echo.NewWithConfig(echo.Config{OnAddRoute: func(r echo.Route) error {
		if r.Path == "/refused" {
			return errors.New("refused")
		}
		seen = append(seen, r.Path)
		return nil
	}})
	recorder := authzecho.Record(e)
	e.GET("/a", boom)
	_, err := e.AddRoute(echo.Route{Method: "GET", Path: "/refused", Handler: boom})
	require.EqualError(t, err, "refused")
	assert.Equal(t, []string{"/a"}, seen)
	assert.Equal(t, []string{"GET /a:"}, lines(recorder.Routes()))
}

func TestRecordComesFirst(t *testing.T) {
	t.Parallel()
	e := echo.New()
	e.GET("/a", boom)
	assert.PanicsWithValue(t, "authzecho: Record: there are routes already: call it right after echo.New", func() { authzecho.Record(e) })
	assert.PanicsWithValue(t, "authzecho: Record: nil Echo", func() { authzecho.Record(nil) })
}
