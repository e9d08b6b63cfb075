package authzecho_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/adaptertest"
	"github.com/oauthz/oauthz/adapters/authzecho"
)

// group has methods that both an Echo and a Group have.
type group interface {
	Group(prefix string, middlewares ...echo.MiddlewareFunc) *echo.Group
	Any(path string, handler echo.HandlerFunc, middlewares ...echo.MiddlewareFunc) echo.RouteInfo
}

// The adapter passes the suite of the project.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	adaptertest.RunOutcomes(t, func(guard *oauthz.Guard, handler http.HandlerFunc, requirements ...oauthz.Requirement) http.Handler {
		e := echo.New()
		var within group = e
		last := len(requirements) - 1
		for _, req := range requirements[:last] {
			within = within.Group("", authzecho.Protect(guard, req))
		}
		within.Any("/*", echo.WrapHandler(handler), authzecho.Protect(guard, requirements[last]))
		return e
	})
}
