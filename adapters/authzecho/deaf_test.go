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

// A middleware that asks a Guard and does not heed it protects nothing. The table says so, wherever it stands.
func TestMiddlewareThatIsDeaf(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for name, deaf := range map[string]echo.MiddlewareFunc{
		"the error is ignored": func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				if authorized, err := guard.Authorize(c.Request(), read); err == nil {
					c.SetRequest(authorized)
				}
				return next(c)
			}
		},
		"something else is protected": func(next echo.HandlerFunc) echo.HandlerFunc {
			audit := protect(guard, read)(func(*echo.Context) error { return nil })
			return func(c *echo.Context) error {
				_ = audit(c)
				return next(c)
			}
		},
	} {
		for where, register := range map[string]func(*echo.Echo){
			"Pre":          func(e *echo.Echo) { e.Pre(deaf); e.GET("/deaf", boom) },
			"Use":          func(e *echo.Echo) { e.Use(deaf); e.GET("/deaf", boom) },
			"a group":      func(e *echo.Echo) { e.Group("", deaf).GET("/deaf", boom) },
			"a route":      func(e *echo.Echo) { e.GET("/deaf", boom, deaf) },
			"behind one":   func(e *echo.Echo) { e.GET("/deaf", boom, protect(guard, read), deaf) },
			"behind other": func(e *echo.Echo) { e.GET("/deaf", boom, answers, deaf) },
		} {
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				e := echo.New()
				recorder := authzecho.Record(e)
				register(e)
				e.GET("/twin", boom, protect(guard, read))
				routes := recorder.Routes()
				require.Len(t, routes, 2)
				assert.ErrorContains(t, routes[0].Err, "authzecho: a middleware asks a Guard, and goes on when that refuses")
				if where != "Pre" && where != "Use" {
					assert.Equal(t, oauthz.Route{Method: "GET", Pattern: "/twin", Requirements: []oauthz.Requirement{read}}, routes[1])
				}
			})
		}
	}
}

// What is said of the probe that is refused is not what is said of the other: middleware behind it finds a fresh response.
func TestDeafProbeLeavesNoTrace(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	recorder := authzecho.Record(e)
	e.GET("/orders", boom, protect(guard, read), func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			assert.Empty(t, c.Response().Header())
			c.Response().WriteHeader(http.StatusEarlyHints)
			return next(c)
		}
	}, protect(guard, write))
	assert.Equal(t, []oauthz.Route{{Method: "GET", Pattern: "/orders", Requirements: []oauthz.Requirement{read, write}}}, recorder.Routes())
}
