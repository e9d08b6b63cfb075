package authzecho

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
)

// refuse answers, and returns what the middlewares outside and the error handler
// are told.
func refuse(c *echo.Context, guard *oauthz.Guard, err error) error {
	// A Response of our own, around those of others, knows what was written even
	// where a middleware such as Gzip holds it back.
	response := echo.NewResponse(c.Response(), c.Logger())
	guard.WriteError(final{response}, c.Request(), err)
	seal(c, response)
	return echo.NewHTTPError(response.Status, http.StatusText(response.Status)).Wrap(refused{err})
}

// seal makes response the last word. An error handler need not look whether the
// response is committed, and one that does not would append a second body.
func seal(c *echo.Context, response *echo.Response) {
	size, below := response.Size, response.ResponseWriter
	response.ResponseWriter = sealed{response.Header().Clone()}
	c.SetResponse(response)

	// A middleware outside may put back the writer that it found. Gzip does, if
	// the body is shorter than its MinLength. So the Responses of others are
	// sealed too.
	for {
		outer, err := echo.UnwrapResponse(below)
		if err != nil {
			return
		}
		below = outer.ResponseWriter
		sealOuter(outer, size)
	}
}

// sealOuter seals a Response around that of a refusal, whose body is of size, but
// not before all has passed through it, and not if it passes in another coding,
// whose end cannot be seen from here.
func sealOuter(outer *echo.Response, size int64) {
	if size == 0 { // there will be no Write to be after
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

// bodiless is a writer that lets the status through, with the header that there is
// by then, and no body.
type bodiless struct {
	below  http.ResponseWriter
	header http.Header // once the status is through
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
