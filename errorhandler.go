package oauthz

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
)

// refusalWriter is the http.ResponseWriter of an ErrorHandler. It sends the status of
// the refusal unless the handler has written another status: net/http would send 200.
type refusalWriter struct {
	http.ResponseWriter
	status   int
	sent     bool // a status has been sent
	answered bool // the handler has written a status or a body
}

// WriteHeader ignores informational responses (1xx). A writer that buffers the
// response, such as the one of http.TimeoutHandler, takes the first informational
// response for the status, and net/http then sends 200.
func (w *refusalWriter) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		return
	}
	w.sent, w.answered = true, true
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body, after the status.
func (w *refusalWriter) Write(p []byte) (int, error) {
	w.sendStatus()
	w.answered = true
	return w.ResponseWriter.Write(p)
}

// sendStatus sends the status of the refusal unless a status has been sent.
func (w *refusalWriter) sendStatus() {
	if !w.sent {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// FlushError is called by http.ResponseController. It must send the status: if
// http.ResponseController found the flush of the net/http writer through Unwrap,
// net/http would send 200 with the first flush.
func (w *refusalWriter) FlushError() error {
	w.sendStatus()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *refusalWriter) Flush() { _ = w.FlushError() }

// Hijack returns an error, because no status would be sent on a hijacked connection.
func (*refusalWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, fmt.Errorf("oauthz: ErrorHandler: hijack: %w", http.ErrNotSupported)
}

// Unwrap lets http.ResponseController set the deadlines of the connection.
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// handleError calls the ErrorHandler, and writes the default response if the handler
// writes nothing.
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

// writePanic writes the response for an ErrorHandler that panicked. Config.Observe has
// already been called for this request, and is called only once, so writePanic logs the
// cause where net/http logs panics.
func (g *Guard) writePanic(w *refusalWriter, r *http.Request, v any) {
	e := panicError("ErrorHandler hook", v)
	logf := log.Printf
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ErrorLog != nil {
		logf = server.ErrorLog.Printf
	}
	logf("%v", e)
	if w.sent { // too late for another response
		return
	}
	for _, name := range []string{"WWW-Authenticate", "Retry-After"} {
		w.Header().Del(name)
	}
	g.writeHeader(w.Header(), e)
	w.WriteHeader(e.Status)
	writeBody(w, r, e)
}
