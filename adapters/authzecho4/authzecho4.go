package authzecho4

import (
	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
)

// Protect returns a middleware that lets a request through only if it meets req.
// It is for [echo.Echo.Pre] and [echo.Echo.Use], for groups and for routes. Behind
// another Protect of the same guard it does not validate the token again, and
// checks req. It panics if guard is nil.
//
// [oauthz.Guard.WriteError] writes a refusal. The middleware then returns an
// [echo.HTTPError] with the status of the refusal, for the outer middlewares and
// the error handler. [errors.As] finds the *[oauthz.Error] in it. At that time the
// response is complete, and later writes are discarded, so that an error handler
// needs no code for refusals. The error handler does not find the response
// committed, and can log and count as it does for other errors. To write another
// response, set [oauthz.Config.ErrorHandler]. Inside a writer that cannot be
// flushed, such as that of an http.TimeoutHandler (the deprecated Timeout middleware
// of echo uses one), the error handler gets the error, but the outer middlewares do
// not.
//
// The middleware is safe for concurrent use.
func Protect(guard *oauthz.Guard, req oauthz.Requirement) echo.MiddlewareFunc {
	if guard == nil {
		panic("authzecho4: Protect: nil Guard")
	}
	return (&protection{guard, req}).before
}

// protection is a Guard before handlers. Its middleware is a method, not a
// closure, so that a [Recorder] recognizes it.
type protection struct {
	guard *oauthz.Guard
	req   oauthz.Requirement
}

func (p *protection) before(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		authorized, err := p.guard.AuthorizeRoute(c.Request(), p.req, c.Path())
		if err != nil {
			return refuse(c, p.guard, err)
		}
		c.SetRequest(authorized)
		return next(c)
	}
}

// TokenFrom returns the token of the allowed request, as [oauthz.TokenFrom] does.
// The token stays valid after the request; c does not.
func TokenFrom(c echo.Context) (*oauthz.Token, bool) {
	if c == nil || c.Request() == nil {
		return nil, false
	}
	return oauthz.TokenFrom(c.Request().Context())
}
