package authzecho4_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

// received is the error that an error handler or an outer middleware receives.
type received struct {
	errs      []error
	committed bool
	status    int
}

func (o *received) note(err error, c echo.Context) {
	o.errs, o.committed, o.status = append(o.errs, err), c.Response().Committed, c.Response().Status
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
			e := quiet(handler.note)
			before := 0
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					c.Response().Before(func() { before++ })
					err := next(c)
					outside.note(err, c)
					return err
				}
			})
			e.GET("/orders", mustNotRun(t), protect(guard, write))
			got := call(t, start(t, e), http.MethodGet, "/orders", tt.bearer, nil)
			assert.Equal(t, tt.status, got.status)
			assert.Equal(t, 1, before, "hooks before the response")
			assert.Equal(t, outside, handler)
			assert.False(t, handler.committed)
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
		assert.Equal(t, "code="+strconv.Itoa(status)+", message="+http.StatusText(status)+", internal=oauthz: refused", err.Error())
	}
	var refusal *oauthz.Error
	if assert.ErrorAs(t, err, &refusal) {
		assert.Equal(t, causeStatus, refusal.Status)
	}
	assert.ErrorIs(t, err, cause)
}

// Logs and metrics outside of the Guard see the status of the refusal.
func TestLoggerSeesTheRefusal(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	var log bytes.Buffer
	e := echo.New()
	e.Logger.SetOutput(&log)
	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		LogStatus: true, LogResponseSize: true, LogError: true, HandleError: true,
		LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
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
