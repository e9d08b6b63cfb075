package authzecho4

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
)

// refuse writes the refusal, and returns the error for the outer middlewares and
// the error handler.
func refuse(c echo.Context, guard *oauthz.Guard, err error) error {
	// A Response of our own, around that of echo, is the one that is sealed.
	outer := c.Response()
	response := echo.NewResponse(outer, c.Echo())
	guard.WriteError(final{response}, c.Request(), err)
	seal(c, response)
	refusal := echo.NewHTTPError(response.Status).SetInternal(refused{err})
	if !buffered(outer) {
		return refusal
	}
	// The Timeout middleware of echo discards the response of a handler that returns
	// an error, and the client would get a 200.
	c.Error(refusal)
	return nil
}

// seal discards everything that is written after the refusal. An error handler
// that does not check whether the response is committed would append a second body.
func seal(c echo.Context, response *echo.Response) {
	status, size := response.Status, response.Size
	// Not the Writer of the outer Response: Gzip restores the writer that it
	// replaced, if the body is shorter than its MinLength.
	response.Writer = sealed{response.Header().Clone()}
	c.SetResponse(response)

	// It is not enough to replace the Writer of our own Response, because an outer
	// middleware may restore one here too. A Response that is not committed calls
	// its Before functions before it writes.
	response.Committed = false
	response.Before(func() {
		response.Writer, response.Status = sealed{response.Header().Clone()}, status
	})
	response.After(func() { response.Size = size })
}

// buffered reports whether w holds the response back until an outer handler sends
// it: then w cannot be flushed. The writer of an [http.TimeoutHandler] is such a
// writer, and the Timeout middleware of echo uses that.
func buffered(w http.ResponseWriter) bool {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			_, flushes := w.(http.Flusher)
			return !flushes
		}
		w = wrapper.Unwrap()
	}
}

// final does not pass informational responses (1xx) on to a Response. Echo would
// commit the Response at the first of them, and net/http would send 200.
type final struct{ *echo.Response }

func (w final) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.Response.WriteHeader(status)
	}
}

// FlushError is for [http.ResponseController]. A Response of echo panics if the
// writer below it cannot flush. That would look like a panic of the ErrorHandler.
func (w final) FlushError() (err error) {
	defer func() {
		if recover() != nil {
			err = http.ErrNotSupported
		}
	}()
	w.Response.Flush()
	return nil
}

// sealed is a writer that discards everything. It has no Unwrap, which would give
// access to a writer that sends, and no Hijack.
type sealed struct{ header http.Header }

func (s sealed) Header() http.Header         { return s.header }
func (s sealed) WriteHeader(int)             {}
func (s sealed) Write(p []byte) (int, error) { return len(p), nil }
func (s sealed) Flush()                      {}

// refused is the cause of a refusal in an [echo.HTTPError]. It hides the text of
// err: the text of an HTTPError includes that of its cause, and may be sent to the
// client.
type refused struct{ err error }

func (refused) Error() string   { return "oauthz: refused" }
func (r refused) Unwrap() error { return r.err }
