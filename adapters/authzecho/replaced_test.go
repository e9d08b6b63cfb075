package authzecho_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho"
)

// A registration that the router refuses replaces neither the route that serves nor its row.
func TestRefusedRegistrationIsNotListed(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for _, allowed := range []bool{false, true} {
		for name, router := range map[string]func(echo.Router) echo.Router{
			"a router": func(r echo.Router) echo.Router { return r }, "a concurrent router": echo.NewConcurrentRouter,
		} {
			e := echo.NewWithConfig(echo.Config{Logger: quiet(), Router: router(echo.NewRouter(echo.RouterConfig{AllowOverwritingRoute: allowed}))})
			recorder := authzecho.Record(e)
			open := protect(guard, oauthz.Public())
			e.GET("/a", hello, open)
			e.Group("/g", open).GET("/:id", hello)
			_, err := e.AddRoute(echo.Route{Method: "GET", Path: "/a", Handler: hello, Middlewares: []echo.MiddlewareFunc{protect(guard, read)}})
			_, groupErr := e.Group("/g").AddRoute(echo.Route{Method: "GET", Path: "/:id", Handler: hello, Middlewares: []echo.MiddlewareFunc{protect(guard, read)}})
			want, status := []string{`GET /a: [public]`, `GET /g/:id: [public]`}, http.StatusOK
			if allowed {
				want, status = []string{`GET /a: [scope orders:read]`, `GET /g/:id: [scope orders:read]`}, http.StatusUnauthorized
				require.NoError(t, err)
				require.NoError(t, groupErr)
			} else {
				require.ErrorContains(t, err, "duplicate route")
				require.ErrorContains(t, groupErr, "duplicate route")
			}
			for range 2 {
				assert.Equal(t, status, serve(e, http.MethodGet, "/a", "").Code, name)
				assert.Equal(t, status, serve(e, http.MethodGet, "/g/7", "").Code, name)
				assert.Equal(t, want, lines(recorder.Routes()), name)
			}
		}
	}
}

// The router also refuses a route without a handler. The earlier route stays, and a later one is listed.
func TestRouteWithoutAHandlerIsNotListed(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho.Record(e)
	e.GET("/a", hello)
	for _, path := range []string{"/a", "/b"} {
		_, err := e.AddRoute(echo.Route{Method: "GET", Path: path, Middlewares: []echo.MiddlewareFunc{protect(guard, read)}})
		require.ErrorContains(t, err, "without handler")
	}
	assert.Equal(t, []string{`GET /a:`}, lines(recorder.Routes()))
	e.GET("/b", hello)
	assert.Equal(t, []string{`GET /a:`, `GET /b:`}, lines(recorder.Routes()))
}

// For the router, patterns that differ only in the names of their parameters are the same, and the last of them serves.
func TestPatternWithOtherNamesTakesTheRoute(t *testing.T) {
	t.Parallel()
	const taken = " authzecho: route: another route, with other names of parameters, answers its requests"
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho.Record(e)
	e.GET("/a/:id", hello, protect(guard, read))
	e.GET("/a/:name", hello, protect(guard, oauthz.Public()))
	e.PUT("/a/:id", hello, protect(guard, read))
	e.GET("/a/:id/:x/*", hello, protect(guard, read))
	e.GET("/a/:y/:id/*", hello, protect(guard, oauthz.Public()))
	e.GET("/b/:x", hello, protect(guard, oauthz.Public()))
	e.GET("b/:y", hello, protect(guard, read))
	e.GET("/b/:x", hello, protect(guard, oauthz.Public())) // again
	e.GET(`/c\:id`, hello, protect(guard, read))
	e.GET(`/c:x`, hello, protect(guard, oauthz.Public()))
	assert.Equal(t, []string{
		`GET /a/:id: [scope orders:read]` + taken,
		`GET /a/:name: [public]`,
		`PUT /a/:id: [scope orders:read]`,
		`GET /a/:id/:x/*: [scope orders:read]` + taken,
		`GET /a/:y/:id/*: [public]`,
		`GET /b/:x: [public]`,
		`GET /b/:y: [scope orders:read]` + taken,
		`GET /c\:id: [scope orders:read]`,
		`GET /c:x: [public]`,
	}, lines(recorder.Routes()))
	for path, want := range map[string]int{"/a/7": 200, "/a/7/8/9": 200, "/b/7": 200} {
		assert.Equal(t, want, serve(e, http.MethodGet, path, "").Code, path)
	}
	assert.Equal(t, 401, serve(e, http.MethodPut, "/a/7", "").Code)
}
