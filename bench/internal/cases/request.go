package cases

import "net/http"

// recorder keeps the first status that is not 200, of all answers that are written to it: one bad answer in a million shows.
type recorder struct {
	header http.Header
	status int
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

// Header implements [http.ResponseWriter].
func (w *recorder) Header() http.Header { return w.header }

// Write implements [http.ResponseWriter].
func (w *recorder) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements [http.ResponseWriter].
func (w *recorder) WriteHeader(status int) {
	if w.status == http.StatusOK {
		w.status = status
	}
}

// request returns a request with a token, or without one if token is "". One goroutine may use it any number of times: routers
// record the matched route in a request, which is the same each time.
func request(token string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, "/orders", http.NoBody)
	if err != nil {
		panic(err) // a constant is not a URL
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}
