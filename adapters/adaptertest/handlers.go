package adaptertest

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// An errorHandler is a Config.ErrorHandler.
type errorHandler = func(http.ResponseWriter, *http.Request, *oauthz.Error)

func handled(h errorHandler) func(*oauthz.Config) {
	return func(cfg *oauthz.Config) { cfg.ErrorHandler = h }
}

func writesAll(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	w.WriteHeader(e.Status)
	_, _ = w.Write([]byte("own " + e.Code))
}

func writesHints(w http.ResponseWriter, r *http.Request, e *oauthz.Error) {
	w.WriteHeader(http.StatusEarlyHints)
	writesAll(w, r, e)
}

func writesNothing(http.ResponseWriter, *http.Request, *oauthz.Error) {}

func panics(http.ResponseWriter, *http.Request, *oauthz.Error) { panic("secret") }

func writesAndPanics(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	w.WriteHeader(e.Status)
	panic("secret")
}

// The handlers below write no status, so the status of the Error must be sent.

func flushes(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	flush(w)
	_, _ = w.Write([]byte("own " + e.Code))
	flush(w)
}

// flush flushes w in both ways that net/http offers.
func flush(w http.ResponseWriter) {
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(err)
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

func flushesHints(w http.ResponseWriter, r *http.Request, e *oauthz.Error) {
	w.WriteHeader(http.StatusEarlyHints)
	flushes(w, r, e)
}

func onlyFlushes(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) { flush(w) }

// flushesUnwrapped unwraps w until it finds an [http.Flusher], as some libraries do, and flushes that.
func flushesUnwrapped(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	for inner := w; ; {
		if f, ok := inner.(http.Flusher); ok {
			f.Flush()
			break
		}
		outer, ok := inner.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		inner = outer.Unwrap()
	}
	_, _ = w.Write([]byte("own " + e.Code))
}

func flushesAndPanics(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
	flush(w)
	panic("secret")
}

// hijacks tries to take over the connection in both ways that net/http offers. A response of its own would have no status.
func hijacks(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if h, ok := w.(http.Hijacker); ok && err != nil {
		connection, _, err = h.Hijack()
	}
	if err == nil {
		_ = connection.Close()
	}
}

func copies(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	_, _ = io.Copy(w, strings.NewReader("own "+e.Code))
}

// readsFrom calls ReadFrom, if w has that method, with a reader that has no WriteTo.
func readsFrom(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	_, _ = io.Copy(w, io.LimitReader(strings.NewReader("own "+e.Code), 1000))
}

func writesString(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
	_, _ = io.WriteString(w, "own "+e.Code)
}

func setsDeadlines(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(time.Now().Add(time.Minute))
	_ = controller.SetWriteDeadline(time.Now().Add(time.Minute))
	_ = controller.EnableFullDuplex()
}
