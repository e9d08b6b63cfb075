package authzecho

import (
	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
)

// Protect returns a middleware that lets a request through only if it meets req:
// for [echo.Echo.Pre] and [echo.Echo.Use], for groups and for routes. Under
// another Protect of the same guard only req is checked again, not the token.
// It panics if guard is nil.
//
// A refusal is written by [oauthz.Guard.WriteError], and then told to the
// middlewares outside and to the error handler, as an [echo.HTTPError] with its
// status. [errors.As] finds the *[oauthz.Error] in it. The response is finished
// by then: [echo.Response.Committed] is true, and what anybody writes to it is
// dropped (but for an error handler that does not look at Committed, where a
// middleware has put in its place a writer that cannot be unwrapped). To answer in
// another way, set [oauthz.Config.ErrorHandler].
//
// The middleware is safe for concurrent use.
func Protect(guard *oauthz.Guard, req oauthz.Requirement) echo.MiddlewareFunc {
	if guard == nil {
		panic("authzecho: Protect: nil Guard")
	}
	return (&protection{guard, req}).before
}

// protection is a Guard before handlers. It has a method and is not a closure so
// that a [Recorder] can tell that a middleware is one.
type protection struct {
	guard *oauthz.Guard
	req   oauthz.Requirement
}

func (p *protection) before(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		authorized, err := p.guard.AuthorizeRoute(c.Request(), p.req, c.Path())
		if err != nil {
			return refuse(c, p.guard, err)
		}
		c.SetRequest(authorized)
		return next(c)
	}
}

// TokenFrom returns the token that the request was allowed with, as
// [oauthz.TokenFrom] does. It stays valid after the request; c does not.
func TokenFrom(c *echo.Context) (*oauthz.Token, bool) {
	if c == nil || c.Request() == nil {
		return nil, false
	}
	return oauthz.TokenFrom(c.Request().Context())
}
