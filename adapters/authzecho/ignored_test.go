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

// middlewareThatIgnores returns middleware that calls guard and continues although it refuses.
func middlewareThatIgnores(guard *oauthz.Guard) map[string]echo.MiddlewareFunc {
	return map[string]echo.MiddlewareFunc{
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
	}
}

// A middleware that calls a Guard and ignores its refusal protects nothing. The table reports it, wherever it stands.
func TestMiddlewareThatIgnoresRefusals(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for name, ignoring := range middlewareThatIgnores(guard) {
		for where, register := range map[string]func(*echo.Echo){
			"Pre":          func(e *echo.Echo) { e.Pre(ignoring); e.GET("/ignoring", boom) },
			"Use":          func(e *echo.Echo) { e.Use(ignoring); e.GET("/ignoring", boom) },
			"a group":      func(e *echo.Echo) { e.Group("", ignoring).GET("/ignoring", boom) },
			"a route":      func(e *echo.Echo) { e.GET("/ignoring", boom, ignoring) },
			"behind one":   func(e *echo.Echo) { e.GET("/ignoring", boom, protect(guard, read), ignoring) },
			"behind other": func(e *echo.Echo) { e.GET("/ignoring", boom, answers, ignoring) },
		} {
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				e := echo.New()
				recorder := authzecho.Record(e)
				register(e)
				e.GET("/other", boom, protect(guard, read))
				routes := recorder.Routes()
				require.Len(t, routes, 2)
				assert.ErrorContains(t, routes[0].Err, "authzecho: route: a middleware calls a Guard and continues although the Guard refuses")
				if where != "Pre" && where != "Use" {
					assert.Equal(t, oauthz.Route{Method: "GET", Pattern: "/other", Guards: []oauthz.Requirement{read}}, routes[1])
				}
			})
		}
	}
}

// Each run of a middleware gets a new response: a run does not see the header of an earlier run that was refused.
func TestProbeRunsDoNotShareAResponse(t *testing.T) {
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
	assert.Equal(t, []oauthz.Route{{Method: "GET", Pattern: "/orders", Guards: []oauthz.Requirement{read, write}}}, recorder.Routes())
}
