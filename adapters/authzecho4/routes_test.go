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

// boom is the handler of every route in a table: it must not run.
func boom(echo.Context) error { panic("a handler ran") }

// answers is a middleware that answers every request.
func answers(echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error { return c.NoContent(http.StatusForbidden) }
}

// fails is a middleware that returns an error.
func fails(echo.HandlerFunc) echo.HandlerFunc {
	return func(echo.Context) error { return errors.New("no") }
}

// panics is a middleware that panics.
func panics(echo.HandlerFunc) echo.HandlerFunc {
	return func(echo.Context) error { panic("middleware") }
}

// register registers routes as a program would.
func register(e *echo.Echo, guard *oauthz.Guard) {
	public := protect(guard, oauthz.Public())
	e.Pre(middleware.RemoveTrailingSlash())
	e.Use(middleware.Recover(), middleware.RequestID(), middleware.Gzip())

	e.GET("/health", boom, public)
	e.File("/favicon.ico", "favicon.ico", public)
	e.RouteNotFound("/*", boom, public)

	api := e.Group("/v1", protect(guard, oauthz.Require()))
	orders := api.Group("/orders", protect(guard, read))
	orders.GET("", boom)
	orders.GET("/:id", boom)
	orders.DELETE("/:id", boom, protect(guard, write))
	api.Any("/hooks/:name", boom, protect(guard, oauthz.RequireClaim("role", "robot")))
	api.Match([]string{"GET", "POST"}, "/search", boom)
	api.Group("/files", protect(guard, read.OrAnonymous())).Static("", ".")
	admin := api.Group("/admin", answers, protect(guard, oauthz.RequireACR("gold")))
	admin.POST("/users", boom, fails, panics, protect(guard, write))
}

const table = `404     /*                              public
GET     /favicon.ico                    public
GET     /health                         public
POST    /v1/admin/users                 all(any valid token, acr gold, scope orders:write)
GET     /v1/files*                      all(any valid token, scope orders:read or anonymous)
*       /v1/hooks/:name                 all(any valid token, claim "role" in ["robot"])
GET     /v1/orders                      all(any valid token, scope orders:read)
DELETE  /v1/orders/:id                  all(any valid token, scope orders:read, scope orders:write)
GET     /v1/orders/:id                  all(any valid token, scope orders:read)
GET     /v1/search                      any valid token
POST    /v1/search                      any valid token
`

// For the table of a program no handler and no introspector runs, and no decision is observed.
func TestRouteTable(t *testing.T) {
	t.Parallel()
	in := &issuer{}
	guard := newGuard(t, oauthz.Config{Introspector: in, Observe: func(context.Context, oauthz.Decision) { t.Error("observed") }})
	e := quiet(func(error, echo.Context) { t.Error("an error handler ran") })
	recorder := authzecho4.Record(e)
	register(e, guard)
	for range 3 { // the same each time
		assert.Equal(t, table, oauthztest.RouteTable(t, recorder.Routes()))
	}
	assert.Empty(t, in.asked)
}

// failures is a test that only records its failures.
type failures struct {
	testing.TB
	texts []string
}

func (*failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func TestUnprotectedRouteFailsTheTable(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho4.Record(e)
	register(e, guard)
	e.PUT("/forgotten/:id", boom)
	e.GET("/opaque", echo.WrapHandler(guard.Protect(read)(http.NotFoundHandler()))) // documented: a Guard inside a handler is not found
	var fake failures
	oauthztest.RouteTable(&fake, recorder.Routes())
	require.Len(t, fake.texts, 2)
	assert.Contains(t, fake.texts[0], "PUT /forgotten/:id: no Guard protects this route")
	assert.Contains(t, fake.texts[1], "GET /opaque: no Guard protects this route")
}
