package authzgin_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzgin"
)

// firsts are the first steps of an ErrorHandler that writes no status.
var firsts = map[string]func(http.ResponseWriter){
	"nothing":    func(http.ResponseWriter) {},
	"controller": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	"flusher": func(w http.ResponseWriter) {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	},
	"hints":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
	"hijack": func(w http.ResponseWriter) { _, _, _ = http.NewResponseController(w).Hijack() },
	"string": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "o") },
	"reader": func(w http.ResponseWriter) { _, _ = io.Copy(w, io.LimitReader(new(ones), 3)) },
}

// ones is a reader without an end.
type ones struct{}

func (*ones) Read(p []byte) (int, error) { p[0] = '1'; return 1, nil }

// copying is a writer with which a program replaces that of gin.
type copying struct {
	gin.ResponseWriter
	copied bytes.Buffer
}

func (w *copying) Write(p []byte) (int, error) {
	w.copied.Write(p)
	return w.ResponseWriter.Write(p)
}

// A refusal has its status for each first step of the ErrorHandler, and middleware before the Guard sees that status.
func TestStatusOfARefusalBehindOtherWriters(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]gin.HandlerFunc{
		"gin's": func(*gin.Context) {}, "another": func(c *gin.Context) { c.Writer = &copying{ResponseWriter: c.Writer} },
	} {
		for first, do := range firsts {
			guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
				do(w)
				_, _ = io.WriteString(w, "wn")
			}})
			seen, router := make(chan int, 1), gin.New() // the client may have the answer before the middleware goes on
			router.Use(func(c *gin.Context) { c.Next(); seen <- c.Writer.Status() }, replace)
			router.GET("/orders", authzgin.Protect(guard, read), func(*gin.Context) { t.Error("the handler ran") })
			server := httptest.NewServer(router)
			for token, want := range map[string]int{"": 401, "bad": 401, "other": 403} {
				r := request("GET", server.URL+"/orders", token)
				r.RequestURI = ""
				got, err := server.Client().Do(r)
				if assert.NoError(t, err) {
					assert.NoError(t, got.Body.Close())
					assert.Equal(t, want, got.StatusCode, "%s, %s", name, first)
					assert.NotEmpty(t, got.Header.Get("WWW-Authenticate"))
				}
				assert.Equal(t, want, <-seen, "%s, %s", name, first)
			}
			server.Close()
		}
	}
}
