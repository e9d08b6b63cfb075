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
	guard.WriteError(response, c.Request(), err)
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
	// the body is shorter than its MinLength. So the Response of echo itself is
	// sealed too, but not before all has passed through it, and not if it passes
	// in another coding, whose end cannot be seen from here.
	first, err := echo.UnwrapResponse(below)
	if err != nil {
		return
	}
	sealFirst := func() {
		if size > 0 && first.Size == size && first.Header().Get(echo.HeaderContentEncoding) == "" {
			first.ResponseWriter = sealed{first.Header().Clone()}
		}
	}
	sealFirst()
	first.After(sealFirst)
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
