package affix_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/affix"
)

// token is what must never be seen in an error.
const token = "eyJhbGciOiJFUzI1NiJ9.canary.canary"

var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// answer is what a server answers.
type answer struct {
	status      int
	contentType string // "": none
	header      map[string]string
	body        string
}

func jsonAnswer(body string) answer { return answer{200, "application/json", nil, body} }

// vendor is a server that answers everything the same, and remembers what it was asked.
type vendor struct {
	*httptest.Server
	mu    sync.Mutex
	asked []question
}

type question struct {
	method, path, uri string
	header            http.Header
	body              string
}

func serve(t *testing.T, a answer) *vendor {
	t.Helper()
	v := &vendor{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.asked = append(v.asked, question{r.Method, r.URL.Path, r.RequestURI, r.Header.Clone(), string(body)})
		v.mu.Unlock()
		w.Header()["Content-Type"] = nil
		if a.contentType != "" {
			w.Header().Set("Content-Type", a.contentType)
		}
		for name, value := range a.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) questions() []question {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]question(nil), v.asked...)
}

// ours is the client whose tokens are accepted.
const ours = "00000000-00000000-00000000-00000000"

func client(t *testing.T, v *vendor, change ...func(*affix.Config)) *affix.Client {
	t.Helper()
	cfg := affix.Config{BaseURL: v.URL, ClientIDs: []string{"another", ours}, HTTPClient: v.Client(), Now: func() time.Time { return epoch }}
	for _, f := range change {
		f(&cfg)
	}
	c, err := affix.New(cfg)
	require.NoError(t, err)
	return c
}

// verdict is active, inactive, unrecognized, or a fault.
func verdict(err error) string {
	var e *oauthz.Error
	switch {
	case err == nil:
		return "active"
	case errors.Is(err, oauthz.ErrInvalidToken):
		return "inactive"
	case errors.Is(err, oauthz.ErrUnrecognized):
		return "unrecognized"
	case errors.As(err, &e) && e.Status == http.StatusServiceUnavailable && errors.Is(err, oauthz.ErrUnavailable):
		return "fault"
	default:
		return "?"
	}
}

func operationError(t *testing.T, err error, status int) *providers.OperationError {
	t.Helper()
	var e *providers.OperationError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "affix", e.Vendor)
	assert.Equal(t, "introspect", e.Operation)
	assert.Equal(t, status, e.Status)
	if status != 0 {
		assert.Contains(t, err.Error(), "affix: introspect: status ")
	}
	if status == http.StatusTooManyRequests || status >= 500 {
		assert.ErrorIs(t, err, oauthz.ErrUnavailable)
	}
	return e
}

// assertSilent: no verb shows a canary.
func assertSilent(t *testing.T, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		text := fmt.Sprintf(verb, v)
		assert.NotContains(t, text, "canary", verb)
		assert.NotContains(t, text, fmt.Sprintf("%x", "canary"), verb)
	}
	if err, ok := v.(error); ok {
		for _, part := range unwrapped(err) {
			assert.NotContains(t, part.Error(), "canary")
		}
	}
}

func unwrapped(err error) []error {
	if err == nil {
		return nil
	}
	parts := []error{err}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		parts = append(parts, unwrapped(err.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			parts = append(parts, unwrapped(e)...)
		}
	}
	return parts
}
