package authzchi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
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

// A refusal has its status for each first step of the ErrorHandler, also behind the writers of chi's middleware.
func TestStatusOfARefusalBehindOtherWriters(t *testing.T) {
	t.Parallel()
	for name, outer := range map[string]func(http.Handler) http.Handler{
		"none": middleware.NoCache, "Compress": middleware.Compress(5, "application/json"), "Logger": middleware.RequestLogger(&quiet{}),
		"Timeout": middleware.Timeout(time.Minute), "TimeoutHandler": func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
	} {
		for first, do := range firsts {
			guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
				do(w)
				_, _ = io.WriteString(w, "wn")
			}})
			router := chi.NewRouter()
			router.With(outer, authzchi.Protect(guard, read)).Method("GET", "/orders", forbidden(t))
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
			}
			server.Close()
		}
	}
}

// quiet is a logger of chi, which has a writer of its own.
type quiet struct{}

func (*quiet) NewLogEntry(*http.Request) middleware.LogEntry   { return &quiet{} }
func (*quiet) Write(int, int, http.Header, time.Duration, any) {}
func (*quiet) Panic(any, []byte)                               {}
