package authzecho4

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
)

// heeded returns why it is not certain that the middlewares of Pre and Use let a
// request through only if the Guards in them do, or nil.
func (r *Recorder) heeded(request *http.Request, behind *func(echo.Context)) error {
	defer func() { *behind = nil }()
	return named(oauthz.ProbeHeeded(request, func(request *http.Request) (reached bool) {
		*behind = func(echo.Context) { reached = true }
		r.serve(request)
		return reached
	}))
}

// named is err with the name of this package.
func named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("authzecho4: %w", err)
}

// serve serves a probe. What becomes of it is no concern of the error handler.
func (r *Recorder) serve(request *http.Request) {
	handler := r.echo.HTTPErrorHandler
	r.echo.HTTPErrorHandler = func(error, echo.Context) {}
	defer func() {
		r.echo.HTTPErrorHandler = handler
		_ = recover() // a middleware may miss something that a request has
	}()
	r.echo.ServeHTTP(sealed{http.Header{}}, request)
}

// probeRequest is one that the route is for.
func probeRequest(key routeKey, method string) *http.Request {
	request, err := http.NewRequest(http.MethodGet, "https://probe.invalid/", http.NoBody)
	if err != nil {
		panic(err) // they are constants
	}
	if key.host != "" {
		request.Host = key.host
	}
	request.Method = method
	request.URL.Path = strings.ReplaceAll(key.path, `\:`, ":")
	request.RequestURI, request.RemoteAddr = request.URL.Path, "192.0.2.1:49152"
	request.TLS = &tls.ConnectionState{} // HTTPSRedirect in Pre would answer
	return request
}

// walk runs the middlewares in their order, each around what is behind it. What
// is behind one that does not call it is run after it. err becomes a reason why one
// of them may go on without the Guards in it.
func walk(c echo.Context, middlewares []echo.MiddlewareFunc, err *error) {
	if len(middlewares) == 0 {
		return
	}
	if doubt := heeded(c, middlewares[0]); doubt != nil {
		*err = doubt
	}
	called := false
	run(c, func(c echo.Context) error {
		return middlewares[0](func(c echo.Context) error {
			if !called { // it may try again
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

// heeded returns why it is not certain that a middleware lets a request through
// only if the Guards in it do, or nil. It leaves c as it was.
func heeded(c echo.Context, middleware echo.MiddlewareFunc) error {
	if isProtect(middleware) {
		return nil // most are
	}
	request, response := c.Request(), c.Response()
	defer func() {
		c.SetRequest(request)
		c.SetResponse(response)
	}()
	return named(oauthz.ProbeHeeded(request, func(request *http.Request) (reached bool) {
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

// isProtect reports whether middleware is one of Protect, alone.
func isProtect(middleware echo.MiddlewareFunc) bool {
	return reflect.ValueOf(middleware).Pointer() == reflect.ValueOf((&protection{}).before).Pointer()
}

// run runs h to its end, however that comes about: a middleware may miss
// something that a request has.
func run(c echo.Context, h echo.HandlerFunc) {
	defer func() { _ = recover() }()
	_ = h(c)
}
