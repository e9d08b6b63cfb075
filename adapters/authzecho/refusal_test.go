package authzecho_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// careless is an error handler that ignores whether the response is committed.
func careless(c *echo.Context, err error) {
	c.Response().Header().Set("WWW-Authenticate", "Careless")
	if f, ok := c.Response().(http.Flusher); ok {
		f.Flush()
	}
	_ = c.JSON(http.StatusTeapot, map[string]string{"error": err.Error()})
	_, _ = c.Response().Write([]byte("careless"))
}

var errorHandlers = map[string]echo.HTTPErrorHandler{
	"default":         echo.DefaultHTTPErrorHandler(false),
	"exposing errors": echo.DefaultHTTPErrorHandler(true),
	"careless":        careless,
}

func dump(*echo.Context, []byte, []byte, error) {}

// tellsTheErrorHandler is a middleware that calls the error handler itself and returns no error.
func tellsTheErrorHandler(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if err := next(c); err != nil {
			c.Echo().HTTPErrorHandler(c, err)
		}
		return nil
	}
}

// putsBack is a middleware that replaces the writer and restores it afterwards.
func putsBack(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		w := c.Response()
		defer c.SetResponse(w)
		return next(c)
	}
}

// hasAnother is a middleware that replaces the Response.
func hasAnother(next echo.HandlerFunc) echo.HandlerFunc {
	return putsBack(func(c *echo.Context) error {
		c.SetResponse(echo.NewResponse(c.Response(), c.Logger()))
		return next(c)
	})
}

func timeout(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") }

func netHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// outer are middlewares that programs put outside of a Guard. Gzip within BodyDump is not among them: it restores the writer
// of BodyDump, whose buffer may belong to another request when a careless error handler writes to it. That is a data race of
// echo v5 for every error.
var outer = map[string][]echo.MiddlewareFunc{
	"nothing":                   nil,
	"tells the error handler":   {tellsTheErrorHandler},
	"Gzip":                      {middleware.Gzip()},
	"Gzip of long bodies":       {middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000})},
	"BodyDump":                  {middleware.BodyDump(dump)},
	"BodyDump in Gzip":          {middleware.Gzip(), middleware.BodyDump(dump)},
	"error handler within Gzip": {middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000}), tellsTheErrorHandler},
	"puts the writer back":      {putsBack},
	"net/http":                  {echo.WrapMiddleware(netHTTP)},
	"net/http in Gzip":          {middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000}), echo.WrapMiddleware(netHTTP)},
	"has another Response":      {hasAnother},
	"TimeoutHandler":            {echo.WrapMiddleware(timeout)},
	"ContextTimeout":            {middleware.ContextTimeout(time.Minute)},
	"usual":                     {middleware.Recover(), middleware.RequestID(), middleware.CORS("*"), middleware.Secure()},
	"logger that tells": {middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		HandleError: true, LogValuesFunc: func(*echo.Context, middleware.RequestLoggerValues) error { return nil },
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
					e := echo.NewWithConfig(echo.Config{Logger: quiet(), HTTPErrorHandler: errorHandler})
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

// The router can answer HEAD with the handler for GET, for which it replaces the writer.
func TestRefusalOfAutomaticHEAD(t *testing.T) {
	t.Parallel()
	for name, hook := range hooks {
		guard := newGuard(t, oauthz.Config{ErrorHandler: hook})
		e := echo.NewWithConfig(echo.Config{
			Logger: quiet(), HTTPErrorHandler: careless,
			Router: echo.NewRouter(echo.RouterConfig{AutoHandleHEAD: true}),
		})
		e.GET("/orders", mustNotRun(t), protect(guard, write))
		for _, bearer := range []string{"", "alice", "junk", "fault", "panic"} {
			want := call(t, start(t, guard.Protect(write)(http.NotFoundHandler())), http.MethodHead, "/orders", bearer, nil)
			assert.Equal(t, want, call(t, start(t, e), http.MethodHead, "/orders", bearer, nil), "%s %s", name, bearer)
		}
	}
}

// A TimeoutHandler around all of echo.
func TestRefusalInTimeoutHandler(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for _, middlewares := range outer {
		e := echo.NewWithConfig(echo.Config{Logger: quiet(), HTTPErrorHandler: careless})
		e.Use(middlewares...)
		e.Any("/orders", mustNotRun(t), protect(guard, write))
		sameAnswers(t, guard.Protect(write)(http.NotFoundHandler()), timeout(e))
	}
}

// received is the error that an error handler or an outer middleware receives.
type received struct {
	errs      []error
	committed bool
	status    int
}

func (o *received) note(c *echo.Context, err error) {
	response, status := echo.ResolveResponseStatus(c.Response(), err)
	o.errs, o.committed, o.status = append(o.errs, err), response != nil && response.Committed, status
}

var refusalTests = []struct {
	name, bearer string
	hook         func(http.ResponseWriter, *http.Request, *oauthz.Error)
	status       int // of the response
	cause        error
	causeStatus  int
}{
	{name: "no token", status: 401, causeStatus: 401, cause: oauthz.ErrNoToken},
	{name: "bad token", bearer: "junk", status: 401, causeStatus: 401, cause: oauthz.ErrInvalidToken},
	{name: "lacks a scope", bearer: "alice", status: 403, causeStatus: 403, cause: oauthz.ErrInsufficientScope},
	{name: "fault", bearer: "fault", status: 503, causeStatus: 503, cause: oauthz.ErrUnavailable},
	{name: "hidden", bearer: "alice", hook: hooks["hides"], status: 404, causeStatus: 403, cause: oauthz.ErrInsufficientScope},
	{name: "hook that panics", bearer: "alice", hook: hooks["panics"], status: 500, causeStatus: 403, cause: oauthz.ErrInsufficientScope},
}

// The error handler and the outer middlewares receive the refusal once, with the status of the response and its cause.
func TestErrorHandlerReceivesTheRefusal(t *testing.T) {
	t.Parallel()
	for _, tt := range refusalTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{ErrorHandler: tt.hook})
			var handler, outside received
			e := echo.NewWithConfig(echo.Config{Logger: quiet(), HTTPErrorHandler: handler.note})
			before := 0
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					c.Response().(*echo.Response).Before(func() { before++ })
					err := next(c)
					outside.note(c, err)
					return err
				}
			})
			e.GET("/orders", mustNotRun(t), protect(guard, write))
			got := call(t, start(t, e), http.MethodGet, "/orders", tt.bearer, nil)
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, 1, before, "hooks before the response")
			assert.Equal(t, outside, handler)
			assert.True(t, handler.committed)
			assert.Equal(t, tt.status, handler.status)
			if assert.Len(t, handler.errs, 1) {
				assertError(t, handler.errs[0], tt.status, tt.causeStatus, tt.cause)
			}
		})
	}
}

func assertError(t *testing.T, err error, status, causeStatus int, cause error) {
	t.Helper()
	var httpError *echo.HTTPError
	if assert.ErrorAs(t, err, &httpError) {
		assert.Equal(t, status, httpError.Code)
		assert.Equal(t, http.StatusText(status), httpError.Message)
		assert.Equal(t, "code="+strconv.Itoa(status)+", message="+http.StatusText(status)+", err=oauthz: refused", err.Error())
	}
	var refusal *oauthz.Error
	if assert.ErrorAs(t, err, &refusal) {
		assert.Equal(t, causeStatus, refusal.Status)
	}
	assert.ErrorIs(t, err, cause)
}

// If a middleware discards the refusal, the error handler writes the whole response.
func TestAnswerThrownAway(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			w := c.Response()
			defer c.SetResponse(w)
			buffer := httptest.NewRecorder()
			c.SetResponse(echo.NewResponse(buffer, c.Logger()))
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

// A sealed response gives no access to the connection, and does not panic.
func TestSealedResponse(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	var problems []string
	e := echo.NewWithConfig(echo.Config{Logger: quiet(), HTTPErrorHandler: func(c *echo.Context, _ error) {
		problems = append(problems, tryAll(c.Response())...)
	}})
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

// Logs and metrics outside of the Guard see the status of the refusal.
func TestLoggerSeesTheRefusal(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	var log bytes.Buffer
	e := echo.NewWithConfig(echo.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		LogStatus: true, LogResponseSize: true, HandleError: true,
		LogValuesFunc: func(_ *echo.Context, v middleware.RequestLoggerValues) error {
			assert.Equal(t, http.StatusServiceUnavailable, v.Status)
			assert.Equal(t, int64(len(`{"error":"temporarily_unavailable"}`)), v.ResponseSize)
			assert.ErrorIs(t, v.Error, oauthz.ErrUnavailable)
			log.WriteString(v.Error.Error())
			return nil
		},
	}))
	e.GET("/orders", mustNotRun(t), protect(guard, read))
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Authorization", "Bearer fault")
	e.ServeHTTP(httptest.NewRecorder(), r)
	assert.Contains(t, log.String(), "code=503")
	assert.NotContains(t, log.String(), secret)
	assert.NotContains(t, log.String(), "fault")
}
