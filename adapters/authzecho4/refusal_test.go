package authzecho4_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

// careless is an error handler that ignores whether the response is committed.
func careless(err error, c echo.Context) {
	c.Response().Header().Set("WWW-Authenticate", "Careless")
	c.Response().Flush()
	_ = c.JSON(http.StatusTeapot, map[string]string{"error": err.Error()})
	_, _ = c.Response().Write([]byte("careless"))
}

// errorHandlers holds error handlers by name.
var errorHandlers = map[string]func(*echo.Echo){
	"default":         func(*echo.Echo) {},
	"exposing errors": func(e *echo.Echo) { e.Debug = true },
	"careless":        func(e *echo.Echo) { e.HTTPErrorHandler = careless },
}

func dump(echo.Context, []byte, []byte) {}

// tellsTheErrorHandler is a middleware that calls the error handler itself and returns no error.
func tellsTheErrorHandler(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := next(c); err != nil {
			c.Error(err)
		}
		return nil
	}
}

// putsBack is a middleware that replaces the writer and restores it afterwards.
func putsBack(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		w := c.Response().Writer
		c.Response().Writer = wrapper{w}
		defer func() { c.Response().Writer = w }()
		return next(c)
	}
}

type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// putsBackOpaque is such a middleware whose writer has no Unwrap.
func putsBackOpaque(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		w := c.Response().Writer
		c.Response().Writer = struct{ http.ResponseWriter }{w}
		defer func() { c.Response().Writer = w }()
		return next(c)
	}
}

func timeout(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") }

func netHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// outer are middlewares that programs put outside of a Guard.
var outer = map[string][]echo.MiddlewareFunc{
	"nothing":                   nil,
	"tells the error handler":   {tellsTheErrorHandler},
	"Gzip":                      {middleware.Gzip()},
	"Gzip of long bodies":       {middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000})},
	"BodyDump":                  {middleware.BodyDump(dump)},
	"BodyDump in Gzip":          {middleware.Gzip(), middleware.BodyDump(dump)},
	"Gzip in BodyDump":          {middleware.BodyDump(dump), middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 10})},
	"error handler within Gzip": {middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000}), tellsTheErrorHandler},
	"puts the writer back":      {putsBack},
	"puts back what it hid":     {putsBackOpaque},
	"net/http":                  {echo.WrapMiddleware(netHTTP)},
	"net/http in Gzip":          {middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000}), echo.WrapMiddleware(netHTTP)},
	"TimeoutHandler":            {echo.WrapMiddleware(timeout)},
	"ContextTimeout":            {middleware.ContextTimeout(time.Minute)},
	"usual":                     {middleware.Recover(), middleware.RequestID(), middleware.CORS(), middleware.Secure()},
	"logger that tells": {middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		HandleError: true, LogValuesFunc: func(echo.Context, middleware.RequestLoggerValues) error { return nil },
	})},
}

// hooks are oauthz.Config.ErrorHandlers.
var hooks = map[string]func(http.ResponseWriter, *http.Request, *oauthz.Error){
	"": nil,
	"own": func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
		w.WriteHeader(e.Status)
		_, _ = w.Write([]byte("01234"))
		_, _ = w.Write([]byte("56789"))
	},
	"panics": func(http.ResponseWriter, *http.Request, *oauthz.Error) { panic(secret) },
	"hides": func(w http.ResponseWriter, r *http.Request, _ *oauthz.Error) {
		w.Header().Del("WWW-Authenticate")
		http.NotFound(w, r)
	},
	"flushes": func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write([]byte("own"))
		_ = http.NewResponseController(w).Flush()
	},
	"status alone": func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) { w.WriteHeader(e.Status) },
	"hints first": func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(e.Status)
		_, _ = w.Write([]byte("own"))
	},
}

// The client gets the same response as with net/http, one status and one body, whichever middlewares are around the Guard.
func TestRefusalIsOneAnswer(t *testing.T) {
	t.Parallel()
	for hookName, hook := range hooks {
		guard := newGuard(t, oauthz.Config{ErrorHandler: hook})
		reference := guard.Protect(write)(http.NotFoundHandler())
		for outerName, middlewares := range outer {
			for handlerName, errorHandler := range errorHandlers {
				t.Run(hookName+"/"+outerName+"/"+handlerName, func(t *testing.T) {
					t.Parallel()
					e := quiet(nil)
					errorHandler(e)
					e.Use(middlewares...)
					e.Any("/orders", mustNotRun(t), protect(guard, write))
					sameAnswers(t, reference, e)
				})
			}
		}
	}
}

// sameAnswers compares the answers of two handlers for refusals of all kinds.
func sameAnswers(t *testing.T, want, got http.Handler) {
	t.Helper()
	wantURL, gotURL, header := start(t, want), start(t, got), http.Header{"Accept-Encoding": {"gzip"}}
	for _, bearer := range []string{"", "alice", "junk", "fault", "panic", "a b"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			assert.Equal(t, call(t, wantURL, method, "/orders", bearer, nil), call(t, gotURL, method, "/orders", bearer, header), "%s %s", method, bearer)
		}
	}
}

// A TimeoutHandler around all of echo.
func TestRefusalInTimeoutHandler(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for _, middlewares := range outer {
		e := quiet(careless)
		e.Use(middlewares...)
		e.Any("/orders", mustNotRun(t), protect(guard, write))
		sameAnswers(t, guard.Protect(write)(http.NotFoundHandler()), timeout(e))
	}
}

// The Timeout middleware discards the response of a handler that returns an error: the client would get a 200. In this case
// the error handler receives the error first.
func TestRefusalInTimeout(t *testing.T) {
	t.Parallel()
	//lint:ignore SA1019 people use it
	limit := middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: time.Minute})
	for hookName, hook := range hooks {
		guard := newGuard(t, oauthz.Config{ErrorHandler: hook})
		for outerName, inner := range outer {
			errs := 0
			e := quiet(func(err error, c echo.Context) {
				errs++
				careless(err, c)
			})
			e.Use(limit)
			e.Use(inner...)
			e.Any("/orders", mustNotRun(t), protect(guard, write))
			sameAnswers(t, guard.Protect(write)(http.NotFoundHandler()), e)
			assert.Equal(t, 12, errs, hookName+outerName)
		}
	}
}

// If a middleware discards the refusal, the error handler writes the whole response.
func TestAnswerThrownAway(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			w := c.Response()
			defer c.SetResponse(w)
			buffer := httptest.NewRecorder()
			c.SetResponse(echo.NewResponse(buffer, c.Echo()))
			if err := next(c); err != nil {
				return err
			}
			_, err := buffer.Body.WriteTo(w)
			return err
		}
	})
	e.GET("/orders", mustNotRun(t), protect(guard, read))
	got := call(t, start(t, e), http.MethodGet, "/orders", "fault", nil)
	assert.Equal(t, answer{503, "", "application/json", "", `{"message":"Service Unavailable"}` + "\n"}, got)
}

// Outer middlewares see the response that was sent, not the one that the error handler tried to send.
func TestResponseSaysWhatWasSent(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := quiet(careless)
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := tellsTheErrorHandler(next)(c)
			assert.Equal(t, 401, c.Response().Status)
			assert.Equal(t, int64(len("{}")), c.Response().Size)
			return err
		}
	})
	e.GET("/orders", mustNotRun(t), protect(guard, read))
	assert.Equal(t, "{}", serve(e, http.MethodGet, "/orders", "").Body.String())
}

// A sealed response gives no access to the connection, and does not panic.
func TestSealedResponse(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	var problems []string
	e := quiet(func(_ error, c echo.Context) { problems = append(problems, tryAll(c.Response())...) })
	e.GET("/orders", mustNotRun(t), protect(guard, read))
	got := call(t, start(t, e), http.MethodGet, "/orders", "", nil)
	assert.Equal(t, answer{401, `Bearer realm="api", scope="orders:read"`, "application/json", "", "{}"}, got)
	assert.Empty(t, problems)
}

// tryAll calls the methods of w, and returns those that should have failed.
func tryAll(w http.ResponseWriter) (problems []string) {
	for w != nil {
		w.Header().Set("Content-Type", "text/careless")
		w.Header().Set("Trailer", "X-Careless")
		w.WriteHeader(http.StatusOK)
		if n, err := w.Write([]byte("careless")); n != 8 || err != nil {
			problems = append(problems, "Write failed")
		}
		controller := http.NewResponseController(w)
		if err := controller.Flush(); err != nil {
			problems = append(problems, "Flush failed")
		}
		if _, _, err := controller.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			problems = append(problems, "Hijack")
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return problems
		}
		w = inner.Unwrap()
	}
	return problems
}
