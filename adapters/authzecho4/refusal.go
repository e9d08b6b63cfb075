package authzecho4

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
)

// refuse answers, and returns what the middlewares outside and the error handler
// are told.
func refuse(c echo.Context, guard *oauthz.Guard, err error) error {
	// A Response of our own, around those of others, knows what was written even
	// where a middleware such as Gzip holds it back.
	response := echo.NewResponse(c.Response(), c.Echo())
	guard.WriteError(response, c.Request(), err)
	status := response.Status
	if response.Committed {
		seal(c, response)
	} else if e := (*oauthz.Error)(nil); errors.As(err, &e) {
		status = e.Status
	}
	return echo.NewHTTPError(status).SetInternal(refused{err})
}

// seal makes response the last word. An error handler need not look whether the
// response is committed, and one that does not would append a second body.
func seal(c echo.Context, response *echo.Response) {
	// The Timeout middleware of echo drops what was written by whoever returns an
	// error, and leaves the answer to the error handler, which must not find the
	// response committed then.
	response.Committed = !timed(response)
	// Not the Writer of the Response that was there: Gzip puts the one back that it
	// found, if the body is shorter than its MinLength.
	response.Writer = sealed{response.Header().Clone()}
	c.SetResponse(response)
}

// timed says whether w writes to an [http.TimeoutHandler], which is what the
// Timeout middleware uses. One outside of echo does no such thing: there, what
// the error handler writes falls into the seal.
func timed(w http.ResponseWriter) bool {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return fmt.Sprintf("%T", w) == "*http.timeoutWriter"
		}
		w = outer.Unwrap()
	}
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
