package gusto_test

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
	"github.com/oauthz/oauthz/providers/gusto"
)

// What must never be seen in an error.
const (
	token   = "canary-token-As8qKfNObHbwe7abbJqF0WUF6iCQoI"
	refresh = "canary-refresh-As8qKfNObHbwe7abbJqF0WUF6iCQ"
	secret  = "canary-secret-"
)

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

// client is a client of v with all credentials.
func client(t *testing.T, v *vendor, change ...func(*gusto.Config)) *gusto.Client {
	t.Helper()
	cfg := gusto.Config{
		BaseURL: v.URL, ClientID: "app", ClientSecret: secret, InsecureAnyClient: true,
		HTTPClient: v.Client(), Now: func() time.Time { return epoch },
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := gusto.New(cfg)
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

// operation is any of the client's, as a function that may fail.
type operation struct {
	name string
	call func(t *testing.T, c *gusto.Client) error
}

var operations = []operation{
	{"introspect", func(t *testing.T, c *gusto.Client) error {
		_, err := c.Introspect(t.Context(), token)
		return err
	}},
	{"token_info", func(t *testing.T, c *gusto.Client) error {
		_, err := c.IntrospectRaw(t.Context(), token)
		return err
	}},
	{"revoke", func(t *testing.T, c *gusto.Client) error { return c.Revoke(t.Context(), token) }},
	{"refresh_access_token", func(t *testing.T, c *gusto.Client) error {
		_, err := c.Refresh(t.Context(), refresh)
		return err
	}},
	{"disconnect_app_integration", func(t *testing.T, c *gusto.Client) error {
		return c.DisconnectAppIntegration(t.Context(), token, "company")
	}},
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
