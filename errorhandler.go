package oauthz

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
)

// refusalWriter is the writer of an ErrorHandler. It sends the status of the
// refusal unless the handler has chosen another status: net/http would send 200.
type refusalWriter struct {
	http.ResponseWriter
	status   int
	sent     bool // a status has been written
	answered bool // the handler has written a status or a body
}

// WriteHeader sends no informational responses (1xx). A writer that holds the
// answer back, as that of http.TimeoutHandler does, takes the first one for the
// status, and net/http then sends 200.
func (w *refusalWriter) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		return
	}
	w.sent, w.answered = true, true
	w.ResponseWriter.WriteHeader(status)
}

func (w *refusalWriter) Write(p []byte) (int, error) {
	w.sendStatus()
	w.answered = true
	return w.ResponseWriter.Write(p)
}

func (w *refusalWriter) sendStatus() {
	if !w.sent {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// FlushError is what http.ResponseController calls. The status must be sent
// here: behind Unwrap, net/http would send 200 with the first flush.
func (w *refusalWriter) FlushError() error {
	w.sendStatus()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush makes the writer an http.Flusher.
func (w *refusalWriter) Flush() { _ = w.FlushError() }

// Hijack returns an error: a hijacked connection has no status.
func (*refusalWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, fmt.Errorf("oauthz: ErrorHandler: hijack: %w", http.ErrNotSupported)
}

// Unwrap is for the deadlines of http.ResponseController.
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// handleError calls the ErrorHandler, and sends the default answer if the handler
// sends none.
func (g *Guard) handleError(w http.ResponseWriter, r *http.Request, e *Error) {
	refusal := &refusalWriter{ResponseWriter: w, status: e.Status}
	defer func() {
		if v := recover(); v != nil {
			g.writePanic(refusal, r, v)
		}
	}()
	g.errorHandler(refusal, r, e)
	if !refusal.answered {
		refusal.sendStatus()
		writeBody(w, r, e)
	}
}

// writePanic answers for an ErrorHandler that panicked. The decision has been
// observed, once, so the cause goes where net/http reports panics.
func (g *Guard) writePanic(w *refusalWriter, r *http.Request, v any) {
	e := panicked("ErrorHandler hook", v)
	logf := log.Printf
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ErrorLog != nil {
		logf = server.ErrorLog.Printf
	}
	logf("%v", e)
	if w.sent { // what has been sent has been sent
		return
	}
	for _, name := range []string{"WWW-Authenticate", "Retry-After"} {
		w.Header().Del(name)
	}
	g.writeHeader(w.Header(), e)
	w.WriteHeader(e.Status)
	writeBody(w, r, e)
}
