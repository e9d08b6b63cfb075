package authzecho_test

import (
	"errors"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho"
)

// The reasons in the Err of a route.
const (
	notEnforced   = "authzecho: route: a middleware calls a Guard and continues although the Guard refuses"
	answersItself = "authzecho: route: a middleware that calls a Guard answers the request itself"
	depends       = "authzecho: route: a middleware calls other Guards, or none, depending on the request"
)

// asks handles a request in a middleware that calls two Guards.
type asks func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error

func (do asks) middleware(guard, other *oauthz.Guard) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { return do(c, guard, other, next) }
	}
}

var customTests = []struct {
	name string
	do   asks
	err  string // "": both are required
}{
	{name: "both are enforced", do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		return protect(guard, read)(protect(other, write)(next))(c)
	}},
	{name: "both are enforced, and next is called twice", do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		return protect(guard, read)(func(c *echo.Context) error {
			if _, err := other.Authorize(c.Request(), write); err != nil {
				return err
			}
			return errors.Join(next(c), next(c))
		})(c)
	}},
	{name: "the second is not enforced", err: notEnforced, do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		return protect(guard, read)(func(c *echo.Context) error {
			_, _ = other.Authorize(c.Request(), write)
			return next(c)
		})(c)
	}},
	{name: "the first is not enforced", err: notEnforced, do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		_, _ = guard.Authorize(c.Request(), read)
		return protect(other, write)(next)(c)
	}},
	{name: "the second comes after the handler", err: notEnforced, do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		return protect(guard, read)(func(c *echo.Context) error {
			err := next(c)
			_, refused := other.Authorize(c.Request(), write)
			return errors.Join(err, refused)
		})(c)
	}},
	{name: "one or the other", err: notEnforced, do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		if _, err := guard.Authorize(c.Request(), read); err == nil {
			return next(c)
		}
		return protect(other, write)(next)(c)
	}},
	{name: "no token is let through", err: notEnforced, do: func(c *echo.Context, guard, _ *oauthz.Guard, next echo.HandlerFunc) error {
		if _, err := guard.Authorize(c.Request(), read); err != nil && !errors.Is(err, oauthz.ErrNoToken) {
			return err
		}
		return next(c)
	}},
	{name: "one, or another for an API key", err: depends, do: func(c *echo.Context, guard, other *oauthz.Guard, next echo.HandlerFunc) error {
		if c.Request().Header.Get("X-API-Key") != "" {
			return protect(other, write)(next)(c)
		}
		return protect(guard, read)(next)(c)
	}},
	{name: "none for an API key", err: depends, do: func(c *echo.Context, guard, _ *oauthz.Guard, next echo.HandlerFunc) error {
		if c.Request().Header.Get("X-API-Key") != "" {
			return next(c)
		}
		return protect(guard, read)(next)(c)
	}},
	{name: "something else is answered", err: answersItself, do: func(c *echo.Context, guard, _ *oauthz.Guard, next echo.HandlerFunc) error {
		if _, err := guard.Authorize(c.Request(), read); err != nil || c.Request().Header.Get("X-Tenant") == "" {
			return echo.ErrNotFound
		}
		return next(c)
	}},
}

// The table lists only enforced requirements: a middleware that continues although one of its Guards refuses causes an Err.
func TestTableListsOnlyEnforcedRequirements(t *testing.T) {
	t.Parallel()
	for _, tt := range customTests {
		for where, register := range map[string]func(*echo.Echo, echo.MiddlewareFunc){
			"Pre":     func(e *echo.Echo, m echo.MiddlewareFunc) { e.Pre(m); e.GET("/a", boom) },
			"Use":     func(e *echo.Echo, m echo.MiddlewareFunc) { e.Use(m); e.GET("/a", boom) },
			"a group": func(e *echo.Echo, m echo.MiddlewareFunc) { e.Group("", m).GET("/a", boom) },
			"a group of two": func(e *echo.Echo, m echo.MiddlewareFunc) {
				e.Group("", remembers).Group("", m).GET("/a", boom, remembers)
			},
			"a route":     func(e *echo.Echo, m echo.MiddlewareFunc) { e.GET("/a", boom, m) },
			"all methods": func(e *echo.Echo, m echo.MiddlewareFunc) { e.Any("/a", boom, m) },
		} {
			t.Run(tt.name+", "+where, func(t *testing.T) {
				t.Parallel()
				one, other := newGuard(t, oauthz.Config{}), newGuard(t, oauthz.Config{})
				for _, second := range []*oauthz.Guard{one, other} {
					e := echo.New()
					recorder := authzecho.Record(e)
					register(e, tt.do.middleware(one, second))
					routes := recorder.Routes()
					require.Len(t, routes, 1)
					if tt.err != "" {
						assert.ErrorContains(t, routes[0].Err, tt.err)
						continue
					}
					require.NoError(t, routes[0].Err)
					assert.Equal(t, []oauthz.Requirement{read, write}, routes[0].Guards)
				}
			})
		}
	}
}
