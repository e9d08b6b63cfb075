package oauthztest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// An Endpoint is a part of the server that can fail on its own, and whose requests are counted.
type Endpoint string

// The endpoints. Discovery is both kinds of metadata: a [Fault] can distinguish them by r.URL.Path.
const (
	EndpointDiscovery     Endpoint = "discovery"     // RFC 8414 §3, OpenID Connect Discovery 1.0 §4
	EndpointJWKS          Endpoint = "jwks"          // RFC 7517 §5
	EndpointIntrospection Endpoint = "introspection" // RFC 7662 §2
	EndpointRevocation    Endpoint = "revocation"    // RFC 7009 §2
)

// A Fault answers in place of an endpoint. It may call next, which is the endpoint. It is called concurrently, and must
// return when the request's context ends. That context ends at the latest when the server stops.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// A switchboard holds the fault of each endpoint, and counts requests.
type switchboard struct {
	mu     sync.Mutex
	faults map[Endpoint]Fault
	counts map[Endpoint]int
}

// Inject makes f answer every request to e from now on, until [Server.Heal]. It replaces an earlier fault.
func (s *Server) Inject(e Endpoint, f Fault) {
	e.check()
	if f == nil {
		panic("oauthztest: inject: nil Fault")
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if s.faults.faults == nil {
		s.faults.faults = map[Endpoint]Fault{}
	}
	s.faults.faults[e] = f
}

// Heal removes the fault of e. Requests that the fault is already answering still fail.
func (s *Server) Heal(e Endpoint) {
	e.check()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	delete(s.faults.faults, e)
}

// Count returns how many requests e has received, including those that it refused and those that a fault answered. A request
// is counted when it arrives, before a fault acts.
func (s *Server) Count(e Endpoint) int {
	e.check()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.counts[e]
}

// ResetCounts sets the counts of all endpoints to zero.
func (s *Server) ResetCounts() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	clear(s.faults.counts)
}

// arrived counts a request to e, and returns the fault that answers it, if any.
func (b *switchboard) arrived(e Endpoint) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts = map[Endpoint]int{}
	}
	b.counts[e]++
	return b.faults[e]
}

func (e Endpoint) check() {
	switch e {
	case EndpointDiscovery, EndpointJWKS, EndpointIntrospection, EndpointRevocation:
	default:
		panic(fmt.Sprintf("oauthztest: no such endpoint: %q", string(e)))
	}
}

// Down closes the connection without a response. Go's client repeats a GET once if the connection was not a new one, so
// such a request may be counted twice.
func Down() Fault {
	return func(http.ResponseWriter, *http.Request, http.Handler) { cut() }
}

// cut ends a handler and its connection. Data that was not flushed is never sent.
func cut() { panic(http.ErrAbortHandler) }

// Hang reads the request and never answers. It ends when the client disconnects or the server stops.
func Hang() Fault {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices a disconnected client only after the body was read
		<-r.Context().Done()
		cut()
	}
}

// SlowBody sends the headers at once and then the endpoint's own response body, one byte each time every has passed. The
// response is correct for a client that waits long enough.
func SlowBody(every time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := recorded(r, next)
		send(w, answer, answer.Body.Len())
		flush := http.NewResponseController(w).Flush
		_ = flush()
		for _, b := range answer.Body.Bytes() {
			select {
			case <-time.After(every):
			case <-r.Context().Done():
				cut()
			}
			if _, err := w.Write([]byte{b}); err != nil || flush() != nil {
				return
			}
		}
	}
}

// Truncated sends the first half of the endpoint's own response body, with the Content-Length of the whole, and closes the
// connection (RFC 9112 §8: an incomplete message).
func Truncated() Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := recorded(r, next)
		send(w, answer, max(answer.Body.Len(), 1))
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		cut()
	}
}

// recorded returns the response of next to r as an unconditional request, because a 304 has no body to send slowly.
func recorded(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
	r = r.Clone(r.Context())
	r.Header.Del("If-None-Match")
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	return answer
}

// send writes the status and the headers of a response, with length as its Content-Length.
func send(w http.ResponseWriter, answer *httptest.ResponseRecorder, length int) {
	maps.Copy(w.Header(), answer.Header())
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(answer.Code)
}

// Status answers with a status code and its name, as text. It panics if code is not the status code of a final response
// (RFC 9110 §15).
func Status(code int) Fault {
	if code < 200 || code > 999 {
		panic(fmt.Sprintf("oauthztest: no such status: %d", code))
	}
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, http.StatusText(code), code)
	}
}

// TooManyRequests answers 429 (RFC 6585 §4) with that Retry-After, seconds or a date (RFC 9110 §10.2.3), or without the
// header if retryAfter is empty.
func TooManyRequests(retryAfter string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		refuse(w, http.StatusTooManyRequests, "too_many_requests")
	}
}

// HTML answers 200 with a login page, as a proxy that requires a person to sign in does.
func HTML() Fault {
	return Body("text/html; charset=utf-8", "<!DOCTYPE html>\n<title>Sign in</title>\n<form><input name=password></form>\n")
}

// Body answers 200 with that content type and body.
func Body(contentType, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// Redirect answers 307 with exactly that Location (RFC 9110 §15.4.8). This is the redirect that makes a careless client post
// the token again, to the server in the Location.
func Redirect(url string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Location", url)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// The document that Huge and GzipBomb send is both a key set and an introspection answer, around one very long string.
const (
	hugeHead = `{"active":true,"keys":[],"padding":"`
	hugeTail = `"}`
)

// Huge answers 200 with a JSON document of size bytes, without a Content-Length that would announce the size. The document
// is generated while it is sent and never held in memory. It cannot be shorter than a document without padding.
func Huge(size int64) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).Flush() // otherwise net/http sends the Content-Length of a short document
		writeHuge(w, size)
	}
}

// GzipBomb answers as [Huge] does, compressed with gzip even if the client does not accept that: size bytes after
// decompression, about a thousandth of them on the wire.
func GzipBomb(size int64) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		writeHuge(z, size)
		_ = z.Close()
	}
}

// writeHuge writes a document of n bytes. It stops at the first write error.
func writeHuge(w io.Writer, n int64) {
	chunk := bytes.Repeat([]byte("A"), 32<<10)
	_, err := io.WriteString(w, hugeHead)
	for left := n - int64(len(hugeHead)+len(hugeTail)); left > 0 && err == nil; left -= int64(len(chunk)) {
		_, err = w.Write(chunk[:min(left, int64(len(chunk)))])
	}
	_, _ = io.WriteString(w, hugeTail)
}
