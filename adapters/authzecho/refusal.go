package authzecho

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
)

// refuse writes the refusal, and returns the error for the outer middlewares and
// the error handler.
func refuse(c *echo.Context, guard *oauthz.Guard, err error) error {
	// A Response of our own, around those of others, counts the written bytes even
	// if a middleware such as Gzip holds them back.
	response := echo.NewResponse(c.Response(), c.Logger())
	guard.WriteError(final{response}, c.Request(), err)
	seal(c, response)
	return echo.NewHTTPError(response.Status, http.StatusText(response.Status)).Wrap(refused{err})
}

// seal discards everything that is written after the refusal. An error handler
// that does not check whether the response is committed would append a second body.
func seal(c *echo.Context, response *echo.Response) {
	size, below := response.Size, response.ResponseWriter
	response.ResponseWriter = sealed{response.Header().Clone()}
	c.SetResponse(response)

	// An outer middleware may restore the writer that it replaced. Gzip does, if
	// the body is shorter than its MinLength. So the outer Responses are sealed
	// too.
	for {
		outer, err := echo.UnwrapResponse(below)
		if err != nil {
			return
		}
		below = outer.ResponseWriter
		sealOuter(outer, size)
	}
}

// sealOuter seals a Response around that of a refusal with a body of size bytes,
// after the whole body has passed through it. A body with a Content-Encoding is not
// sealed, because its encoded length is not known here.
func sealOuter(outer *echo.Response, size int64) {
	if size == 0 { // there will be no Write, so After would not be called
		status := &bodiless{below: outer.ResponseWriter}
		if outer.Committed {
			status.header = outer.Header().Clone()
		}
		outer.ResponseWriter = status
		return
	}
	sealAtEnd := func() {
		if outer.Size == size && outer.Header().Get(echo.HeaderContentEncoding) == "" {
			outer.ResponseWriter = sealed{outer.Header().Clone()}
		}
	}
	sealAtEnd()
	outer.After(sealAtEnd)
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

// bodiless is a writer that passes on the status and the header of that moment, and
// discards the body.
type bodiless struct {
	below  http.ResponseWriter
	header http.Header // a copy, after the status was passed on
}

func (w *bodiless) Header() http.Header {
	if w.header != nil {
		return w.header
	}
	return w.below.Header()
}

func (w *bodiless) WriteHeader(status int) {
	w.below.WriteHeader(status)
	w.header = w.below.Header().Clone()
}

func (w *bodiless) Write(p []byte) (int, error) { return len(p), nil }
func (w *bodiless) Flush()                      {}

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
