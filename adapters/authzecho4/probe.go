package authzecho4

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// enforced returns nil if the middlewares of Pre and Use let a request through only
// if the Guards in them do, and otherwise the reason for the doubt.
func (r *Recorder) enforced(request *http.Request, behind *func(echo.Context)) error {
	defer func() { *behind = nil }()
	return prefixed(probe.Enforced[oauthz.Requirement](request, func(request *http.Request) (reached bool) {
		*behind = func(echo.Context) { reached = true }
		r.serve(request)
		return reached
	}))
}

// prefixed returns err with the prefix of the errors of this package.
func prefixed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("authzecho4: route: %w", err)
}

// serve serves a probe. The error handler of the program does not get its errors.
func (r *Recorder) serve(request *http.Request) {
	handler := r.echo.HTTPErrorHandler
	r.echo.HTTPErrorHandler = func(error, echo.Context) {}
	defer func() {
		r.echo.HTTPErrorHandler = handler
		_ = recover() // a middleware may need something that only a real request has
	}()
	r.echo.ServeHTTP(sealed{http.Header{}}, request)
}

// probeRequest returns a request for the route.
func probeRequest(key routeKey, method string) *http.Request {
	request, err := http.NewRequest(http.MethodGet, "https://probe.invalid/", http.NoBody)
	if err != nil {
		panic(err) // the arguments are constants
	}
	if key.host != "" {
		request.Host = key.host
	}
	request.Method = method
	request.URL.Path = strings.ReplaceAll(key.path, `\:`, ":")
	request.RequestURI, request.RemoteAddr = request.URL.Path, "192.0.2.1:49152"
	request.TLS = &tls.ConnectionState{} // otherwise HTTPSRedirect in Pre would answer the request
	return request
}

// walk runs the middlewares in their order, each around the rest. If a middleware
// does not call the rest, walk runs the rest after it. err becomes a reason why a
// middleware may not enforce the Guards in it.
func walk(c echo.Context, middlewares []echo.MiddlewareFunc, err *error) {
	if len(middlewares) == 0 {
		return
	}
	if doubt := enforced(c, middlewares[0]); doubt != nil {
		*err = doubt
	}
	called := false
	run(c, func(c echo.Context) error {
		return middlewares[0](func(c echo.Context) error {
			if !called { // a middleware may call the rest twice
				called = true
				walk(c, middlewares[1:], err)
			}
			return nil
		})(c)
	})
	if !called {
		walk(c, middlewares[1:], err)
	}
}

// enforced returns nil if a middleware lets a request through only if the Guards in
// it do, and otherwise the reason for the doubt. It restores c.
func enforced(c echo.Context, middleware echo.MiddlewareFunc) error {
	if isProtect(middleware) {
		return nil // most middlewares with a Guard need no probe
	}
	request, response := c.Request(), c.Response()
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	return prefixed(probe.Enforced[oauthz.Requirement](request, func(request *http.Request) (reached bool) {
		c.SetRequest(request)
		c.SetResponse(echo.NewResponse(sealed{http.Header{}}, c.Echo()))
		run(c, func(c echo.Context) error {
			return middleware(func(echo.Context) error {
				reached = true
				return nil
			})(c)
		})
		return reached
	}))
}

// isProtect reports whether middleware is one of Protect and nothing else.
func isProtect(middleware echo.MiddlewareFunc) bool {
	return reflect.ValueOf(middleware).Pointer() == reflect.ValueOf((&protection{}).before).Pointer()
}

// run calls h and recovers a panic: a middleware may need something that only a
// real request has.
func run(c echo.Context, h echo.HandlerFunc) {
	defer func() { _ = recover() }()
	_ = h(c)
}
