package authzecho4

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
)

// refuse answers, and returns what the middlewares outside and the error handler
// are told.
func refuse(c echo.Context, guard *oauthz.Guard, err error) error {
	// A Response of our own, around that of echo, becomes the one that is sealed.
	outside := c.Response()
	response := echo.NewResponse(outside, c.Echo())
	guard.WriteError(final{response}, c.Request(), err)
	seal(c, response)
	told := echo.NewHTTPError(response.Status).SetInternal(refused{err})
	if !heldBack(outside) {
		return told
	}
	// The Timeout middleware of echo drops what was written by whoever returns an
	// error, and the client would get a 200.
	c.Error(told)
	return nil
}

// seal makes response the last word. An error handler need not look whether the
// response is committed, and one that does not would append a second body.
func seal(c echo.Context, response *echo.Response) {
	status, size := response.Status, response.Size
	// Not the Writer of the Response that was there: Gzip puts the one back that it
	// found, if the body is shorter than its MinLength.
	response.Writer = sealed{response.Header().Clone()}
	c.SetResponse(response)

	// Nor is it enough to replace the Writer of ours, for a middleware outside may
	// put one back here. A Response that is not committed asks before it writes.
	response.Committed = false
	response.Before(func() {
		response.Writer, response.Status = sealed{response.Header().Clone()}, status
	})
	response.After(func() { response.Size = size })
}

// heldBack says whether it is up to somebody else to send what is written to w:
// it cannot be flushed. The writer of an [http.TimeoutHandler] is one of those,
// and the Timeout middleware of echo uses that.
func heldBack(w http.ResponseWriter) bool {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			_, flushes := w.(http.Flusher)
			return !flushes
		}
		w = outer.Unwrap()
	}
}

// final keeps informational responses (1xx) from a Response, which would take the
// first one for the last word, and have net/http send 200.
type final struct{ *echo.Response }

func (w final) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.Response.WriteHeader(status)
	}
}

// FlushError is for [http.ResponseController]. A Response of echo panics where the
// writer below it cannot flush, which would look like a panic of the ErrorHandler.
func (w final) FlushError() (err error) {
	defer func() {
		if recover() != nil {
			err = http.ErrNotSupported
		}
	}()
	w.Response.Flush()
	return nil
}

// sealed is a writer that drops everything. It does not unwrap to one that
// does not, and lets nobody hijack the connection.
type sealed struct{ header http.Header }

func (s sealed) Header() http.Header         { return s.header }
func (s sealed) WriteHeader(int)             {}
func (s sealed) Write(p []byte) (int, error) { return len(p), nil }
func (s sealed) Flush()                      {}

// refused stands for the cause of a refusal in an [echo.HTTPError], whose text
// is made of that of its cause, and may be sent to the client.
type refused struct{ err error }

func (refused) Error() string   { return "oauthz: refused" }
func (r refused) Unwrap() error { return r.err }
