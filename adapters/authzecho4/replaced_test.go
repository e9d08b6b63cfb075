package authzecho4_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho4"
)

// For the router, patterns that differ only in the names of their parameters are the same, and the last of them serves.
func TestPatternWithOtherNamesTakesTheRoute(t *testing.T) {
	t.Parallel()
	const taken = " authzecho4: route: another route, with other names of parameters, answers its requests"
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho4.Record(e)
	e.GET("/a/:id", hello, protect(guard, read))
	e.GET("/a/:name", hello, protect(guard, oauthz.Public()))
	e.PUT("/a/:id", hello, protect(guard, read))
	e.GET("/a/:id/:x/*", hello, protect(guard, read))
	e.GET("/a/:y/:id/*", hello, protect(guard, oauthz.Public()))
	e.GET("/b/:x", hello, protect(guard, oauthz.Public()))
	e.GET("b/:y", hello, protect(guard, read))
	e.GET("/b/:x", hello, protect(guard, oauthz.Public())) // again
	e.GET(`/c\:id`, hello, protect(guard, read))
	e.GET(`/c\:name`, hello, protect(guard, oauthz.Public()))
	assert.Equal(t, []string{
		`GET /a/:id: [scope orders:read]` + taken,
		`GET /a/:name: [public]`,
		`PUT /a/:id: [scope orders:read]`,
		`GET /a/:id/:x/*: [scope orders:read]` + taken,
		`GET /a/:y/:id/*: [public]`,
		`GET /b/:x: [public]`,
		`GET /b/:y: [scope orders:read]` + taken,
		`GET /c\:id: [scope orders:read]`,
		`GET /c\:name: [public]`,
	}, lines(recorder.Routes()))
	for path, want := range map[string]int{"/a/7": 200, "/a/7/8/9": 200, "/b/7": 200} {
		assert.Equal(t, want, serve(e, http.MethodGet, path, "").Code, path)
	}
	assert.Equal(t, 401, serve(e, http.MethodPut, "/a/7", "").Code)
}

// A second call of Host for the same host makes a new router. Only the routes of the new one are served and listed.
func TestHostThatIsDeclaredAgain(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho4.Record(e)
	first := e.Host("a.example")
	first.GET("/a", hello, protect(guard, read))
	first.GET("/b", hello, protect(guard, read))
	e.Host("a.example").GET("/a", hello, protect(guard, oauthz.Public()))
	assert.Equal(t, []string{`GET a.example/a: [public]`}, lines(recorder.Routes()))
	for path, want := range map[string]int{"/a": 200, "/b": 404} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://a.example"+path, nil))
		assert.Equal(t, want, w.Code, path)
	}
}

// The Recorder does not see a handler that is added to the router directly, but the row of the route that it replaces has an
// Err.
func TestHandlerThatTheRouterIsGivenDirectly(t *testing.T) {
	t.Parallel()
	const replaced = " authzecho4: route: another handler was added to the router directly, not through Echo or a Group"
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho4.Record(e)
	e.GET("/a/:id", hello, protect(guard, read))
	e.PUT("/a/:id", hello, protect(guard, read))
	e.Host("a.example").PUT("/a", hello, protect(guard, read))
	e.GET("/b", hello, protect(guard, read))
	e.RouteNotFound("/a/*", hello, protect(guard, read))
	e.RouteNotFound("/b", hello, protect(guard, read)) // the path has a route for one method
	e.RouteNotFound("/c/*", hello, protect(guard, read))
	e.Router().Add(http.MethodGet, "/a/:id", hello)
	e.Router().Add(http.MethodGet, "/new", hello)
	e.Router().Add(echo.RouteNotFound, "/c/*", hello)
	e.Routers()["a.example"].Add(http.MethodPut, "/a", hello)
	assert.Equal(t, []string{
		`GET /a/:id: [scope orders:read]` + replaced,
		`PUT /a/:id: [scope orders:read]`,
		`PUT a.example/a: [scope orders:read]` + replaced,
		`GET /b: [scope orders:read]`,
		`404 /a/*: [scope orders:read]`,
		`404 /b: [scope orders:read]`,
		`404 /c/*: [scope orders:read]` + replaced,
	}, lines(recorder.Routes()))
	assert.Equal(t, 200, serve(e, http.MethodGet, "/a/7", "").Code)
	assert.Equal(t, 401, serve(e, http.MethodPut, "/a/7", "").Code)
}
