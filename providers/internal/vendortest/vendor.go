// Package vendortest is the harness for the tests of vendors' clients: a server that
// stands for the vendor, checks of the errors, and a scene with two instances of an
// API whose tokens are revoked.
package vendortest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Answer is an answer of a [Vendor].
type Answer struct {
	Status int
	Header http.Header // with no Content-Type, none is sent
	Body   string
}

// Typed returns an answer with a content type, or with none if that is "".
func Typed(status int, contentType, body string) Answer {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return Answer{status, header, body}
}

// JSON returns an answer with a JSON body.
func JSON(status int, body string) Answer { return Typed(status, "application/json", body) }

// Page returns an answer with an HTML body.
func Page(status int, body string) Answer { return Typed(status, "text/html", body) }

// Empty returns an answer with neither a content type nor a body.
func Empty(status int) Answer { return Typed(status, "", "") }

// With returns the answer with one more header field.
func (a Answer) With(name, value string) Answer {
	a.Header = a.Header.Clone()
	a.Header.Set(name, value)
	return a
}

// Vendor is a server that gives the same answer to every request, and keeps the
// requests.
type Vendor struct {
	*httptest.Server

	// Answer may be changed until the first request.
	Answer Answer

	mu       sync.Mutex
	requests []Request
}

// Request is a request that a [Vendor] received.
type Request struct {
	Method, Path, RawQuery, URI string
	Header                      http.Header
	Body                        string
}

// Serve starts a Vendor, which ends with the test.
func Serve(t testing.TB, answer Answer) *Vendor {
	v := &Vendor{Answer: answer}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v.mu.Lock()
	v.requests = append(v.requests, Request{r.Method, r.URL.Path, r.URL.RawQuery, r.RequestURI, r.Header.Clone(), string(body)})
	v.mu.Unlock()
	w.Header()["Content-Type"] = nil // net/http would guess one
	for name, values := range v.Answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(v.Answer.Status)
	_, _ = io.WriteString(w, v.Answer.Body)
}

// Requests returns the requests so far.
func (v *Vendor) Requests() []Request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Request(nil), v.requests...)
}

// Calls returns the number of requests so far.
func (v *Vendor) Calls() int { return len(v.Requests()) }

// Last returns the last request; there must be one.
func (v *Vendor) Last() Request {
	requests := v.Requests()
	return requests[len(requests)-1]
}

// RoundTrip is a function that is an http.RoundTripper.
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
