// Package wire replays the exchanges of testdata/wire-samples.json. It holds the samples and a server that gives their
// answers; each folder below it has the tests for one client.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

// Sample is an exchange of wire-samples.json.
type Sample struct {
	ID, System, Operation, Outcome, Evidence string
	Dialect                                  *string
	Request                                  struct {
		Method, URL string
		Headers     map[string]string
		Body        json.RawMessage
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
		RawBody *string `json:"raw_body"`
	}
	Expect *struct {
		Verdict, Reason, Sub, Tenant string
		Scopes                       oauthz.Scopes
		ClientID                     string `json:"client_id"`
		Exp                          *int64
		RetryAfter                   int64 `json:"retry_after"`
	}
}

// A Decision is about an exchange of which only the answer is replayed, or nothing.
type Decision struct {
	Answer bool // the answer is replayed, after another request
	Why    string
}

// Decisions are the parts of decisions.json about exchanges: by the id of a sample, and by system.
type Decisions struct {
	Samples map[string]Decision `json:"wire_samples"`
	Systems map[string]Decision `json:"wire_systems"`
}

// Read returns all samples, the time at which they were taken, and the decisions. testdata is the path of that folder.
func Read(t testing.TB, testdata string) ([]Sample, time.Time, Decisions) {
	t.Helper()
	var file struct {
		Clock     int64 `json:"clock_unix"`
		Exchanges []Sample
	}
	var d Decisions
	readJSON(t, filepath.Join(testdata, "wire-samples.json"), &file)
	readJSON(t, filepath.Join(testdata, "decisions.json"), &d)
	return file.Exchanges, time.Unix(file.Clock, 0), d
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, v))
}

// Replayed returns the samples of a system, with those of systems that begin with its name and "-", that are replayed at
// least in part. It checks that there are count of them, and logs their number.
func Replayed(t testing.TB, system string, count int) (list []Sample, clock time.Time) {
	t.Helper()
	all, clock, d := Read(t, filepath.Join("..", "..", "testdata"))
	for _, s := range all {
		if s.System != system && !strings.HasPrefix(s.System, system+"-") {
			continue
		}
		if decision, ok := d.Samples[s.ID]; !ok || decision.Answer {
			list = append(list, s)
		}
	}
	t.Logf("wire samples: %d exchanges of %s replayed", len(list), system)
	require.Len(t, list, count)
	return list, clock
}

// AnswerOnly reports whether only the answer of a sample is replayed, because the client never sends its request.
func AnswerOnly(t testing.TB, id string) bool {
	t.Helper()
	_, _, d := Read(t, filepath.Join("..", "..", "testdata"))
	return d.Samples[id].Answer
}

// Bearer returns the token in the Authorization field of the request.
func (s *Sample) Bearer() string {
	return strings.TrimPrefix(s.Request.Headers["Authorization"], "Bearer ")
}

// Server gives the answer of a sample to every request, and keeps the requests.
type Server struct {
	*httptest.Server
	sample *Sample

	mu       sync.Mutex
	requests []Request
}

// Request is a request that a [Server] received.
type Request struct {
	Method, Path, RawQuery, URI string
	Header                      http.Header
	Body                        string
}

// Serve starts a Server, which ends with the test.
func (s *Sample) Serve(t testing.TB) *Server {
	v := &Server{sample: s}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v.mu.Lock()
	v.requests = append(v.requests, Request{r.Method, r.URL.Path, r.URL.RawQuery, r.RequestURI, r.Header.Clone(), string(body)})
	v.mu.Unlock()
	w.Header()["Content-Type"] = nil // net/http would guess one
	answer := &v.sample.Response
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.Status)
	switch {
	case answer.RawBody != nil:
		_, _ = io.WriteString(w, *answer.RawBody)
	case string(answer.Body) != "null":
		_, _ = w.Write(answer.Body)
	}
}

// Requests returns the requests so far.
func (v *Server) Requests() []Request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Request(nil), v.requests...)
}

// Last returns the last request; there must be one.
func (v *Server) Last() Request {
	requests := v.Requests()
	return requests[len(requests)-1]
}

// Verdict names the answer of an Introspector: token, refusal, unrecognized or fault; "?" is an answer that an Introspector
// must not give.
func Verdict(token *oauthz.Token, err error) string {
	var e *oauthz.Error
	switch {
	case (token == nil) == (err == nil):
		return "?"
	case err == nil:
		return "token"
	case errors.Is(err, oauthz.ErrUnrecognized):
		return "unrecognized"
	case errors.Is(err, oauthz.ErrInvalidToken):
		return "refusal"
	case errors.As(err, &e) && e.Status == http.StatusServiceUnavailable && errors.Is(err, oauthz.ErrUnavailable):
		return "fault"
	default:
		return "?"
	}
}

// WantOperationError checks that err is the error of an operation of vendor with that status.
func WantOperationError(t testing.TB, err error, vendor, operation string, status int) *providers.OperationError {
	t.Helper()
	var failed *providers.OperationError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, vendor, failed.Vendor)
	assert.Equal(t, operation, failed.Operation)
	assert.Equal(t, status, failed.Status)
	assert.Regexp(t, fmt.Sprintf("^%s: %s: status %d", vendor, operation, status), err.Error())
	if status == http.StatusTooManyRequests || status >= 500 {
		assert.ErrorIs(t, err, oauthz.ErrUnavailable)
	}
	return failed
}
