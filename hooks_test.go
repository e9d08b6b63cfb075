package oauthz_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// panics returns configurations whose hooks panic with value, by the name of the hook in the error.
func panics(value any) map[string]oauthz.Config {
	blow := func() { panic(value) }
	bound := knows(`{"cnf":{"jkt":"k"}}`)
	return map[string]oauthz.Config{
		"Introspector": {Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			blow()
			return &oauthz.Token{}, nil
		})},
		"RevocationList": {RevocationLists: []oauthz.RevocationList{listFunc(func() (bool, error) {
			blow()
			return false, nil
		})}},
		"Confirmer": {Introspector: bound, Confirmers: []oauthz.Confirmer{confirmerFunc(func() error {
			blow()
			return nil
		})}},
		"Now hook": {Now: func() time.Time {
			blow()
			return epoch
		}},
	}
}

type listFunc func() (bool, error)

func (f listFunc) Revoked(context.Context, *oauthz.Token) (bool, error) { return f() }

type confirmerFunc func() error

func (confirmerFunc) Method() string { return "jkt" }

func (f confirmerFunc) Confirm(*http.Request, string, string, *oauthz.Token) error { return f() }

// leaky is an error, a Stringer and a Formatter of the token.
type leaky string

func (l leaky) Error() string  { return string(l) }
func (l leaky) String() string { return string(l) }

// panicValues are values that hooks may panic with, and the text that an error may contain for each.
var panicValues = []struct {
	name  string
	value any
	says  string
}{
	{name: "a string", value: "panicked with " + goodToken, says: "string"},
	{name: "an error", value: errors.New(goodToken), says: "*errors.errorString"},
	{name: "a type of one's own", value: leaky(goodToken), says: "oauthz_test.leaky"},
	{name: "nil", value: nil, says: "panic called with nil argument"},
	{name: "ErrAbortHandler", value: http.ErrAbortHandler, says: "*errors.errorString"},
	{name: "a token", value: &oauthz.Token{ID: goodToken}, says: "*oauthz.Token"},
}

// A panic in a hook is a 500. The handler does not run, and the response holds nothing about the panic. The error that
// Observe receives names the hook and not the value, because the value might be a token.
func TestPanicsInHooks(t *testing.T) {
	t.Parallel()
	for _, tt := range panicValues {
		for where, cfg := range panics(tt.value) {
			t.Run(where+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				w := &watch{}
				cfg.Observe = w.observe
				ourMistake.check(t, serve(t, newGuard(t, cfg), oauthz.Require(), withGoodToken()))
				require.Len(t, w.decisions, 1)
				d := w.decisions[0]
				assert.Equal(t, oauthz.OutcomeServerError, d.Outcome)
				assert.Contains(t, d.Err.Error(), "oauthz: panic in the "+where+": "+tt.says)
				assert.Contains(t, d.Err.Error(), "oauthz_test.", "the function that panicked")
				assert.NotContains(t, d.Err.Error(), goodToken)

				cfg.Observe = nil
				ourMistake.check(t, serve(t, newGuard(t, cfg), oauthz.Require().OrAnonymous(), withGoodToken()))
			})
		}
	}
}

// The errors of the Go runtime hold no values, and help the operator to find the mistake.
func TestRuntimePanicsAreExplained(t *testing.T) {
	t.Parallel()
	w := &watch{}
	var nothing map[string]int
	guard := newGuard(t, oauthz.Config{Observe: w.observe, Introspector: oauthz.IntrospectorFunc(
		func(_ context.Context, token string) (*oauthz.Token, error) {
			nothing[token] = 1
			return &oauthz.Token{}, nil
		},
	)})
	ourMistake.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
	assert.ErrorContains(t, w.decisions[0].Err, "panic in the Introspector: assignment to entry in nil map at github.com/oauthz/oauthz_test.TestRuntimePanicsAreExplained.")
	assert.NotContains(t, w.decisions[0].Err.Error(), goodToken)
}

// If Observe panics, the request is not let through. If it was refused, the response does not hold the reason.
func TestPanicsInObserve(t *testing.T) {
	t.Parallel()
	for _, tt := range panicValues {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{Observe: func(context.Context, oauthz.Decision) { panic(tt.value) }})
			for _, req := range []oauthz.Requirement{oauthz.Require(), oauthz.Public(), scopeA} {
				ourMistake.check(t, serve(t, guard, req, withGoodToken()))
			}
			ourMistake.check(t, serve(t, guard, oauthz.Require().OrAnonymous(), get()))
			_, err := guard.Authorize(withGoodToken(), oauthz.Require())
			require.ErrorContains(t, err, "oauthz: panic in the Observe hook: "+tt.says)
			assert.NotContains(t, err.Error(), goodToken)
		})
	}
}

func TestPanicsInErrorHandler(t *testing.T) {
	t.Parallel()
	for _, tt := range panicValues {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := oauthz.Config{ErrorHandler: func(http.ResponseWriter, *http.Request, *oauthz.Error) { panic(tt.value) }}
			for _, err := range []error{oauthz.ErrNoToken, oauthz.ErrInvalidToken, errDown} {
				var logged bytes.Buffer
				cfg.Introspector = answers(nil, err)
				got := serve(t, newGuard(t, cfg), oauthz.Require(), logging(withGoodToken(), &logged))
				ourMistake.check(t, got)
				assert.Empty(t, got.header["Retry-After"])
				assert.Contains(t, logged.String(), "oauthz: panic in the ErrorHandler hook: "+tt.says, "where net/http reports panics")
				assert.NotContains(t, logged.String(), goodToken)
			}
		})
	}
}

// logging returns r as a server with this log would pass it on.
func logging(r *http.Request, to io.Writer) *http.Request {
	server := &http.Server{ErrorLog: log.New(to, "", 0)}
	return r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, server))
}

// The Guard does not recover a panic of the handler.
func TestPanicsInHandlersPass(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{Observe: (&watch{}).observe})
	h := guard.Protect(oauthz.Require())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(httptest.NewRecorder(), withGoodToken()) })
}

// When an ErrorHandler is called, the headers are set, and the status and the body are not yet written.
func TestErrorHandler(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, r *http.Request, e *oauthz.Error) {
		assert.Equal(t, "/orders", r.URL.Path)
		assert.ErrorIs(t, e, oauthz.ErrInsufficientScope)
		assert.Equal(t, lacksScope("a").challenge, w.Header().Get("WWW-Authenticate"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		e.Scopes[0] = "changed" // its own
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(e.Status)
		_, _ = io.WriteString(w, "no: "+e.Code)
	}})
	for range 2 {
		got := serve(t, guard, scopeA, withGoodToken())
		assert.Equal(t, http.StatusForbidden, got.status)
		assert.Equal(t, "no: insufficient_scope", got.body)
		assert.Equal(t, "text/plain", got.header.Get("Content-Type"))
		assert.Equal(t, lacksScope("a").challenge, got.challenge)
		assert.False(t, got.ran)
	}
}

// A refusal never has status 200, even if an ErrorHandler writes no status.
func TestForgetfulErrorHandlers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		handler func(http.ResponseWriter, *http.Request, *oauthz.Error)
		want    answer
	}{
		{name: "writes nothing", handler: func(http.ResponseWriter, *http.Request, *oauthz.Error) {}, want: lacksScope("a")},
		{
			name: "writes no status", want: answer{403, lacksScope("a").challenge, "no"},
			handler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
				_, _ = io.WriteString(w, "n")
				_, _ = io.WriteString(w, "o")
			},
		},
		{
			name: "another status", want: answer{404, lacksScope("a").challenge, ""},
			handler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) { w.WriteHeader(http.StatusNotFound) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.want.check(t, serve(t, newGuard(t, oauthz.Config{ErrorHandler: tt.handler}), scopeA, withGoodToken()))
		})
	}
}

// Informational responses are not sent (RFC 9110 §15.2): after one, net/http would send 200.
func TestErrorHandlerSendsHints(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "no"} {
		guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
			w.WriteHeader(http.StatusEarlyHints)
			if body != "" {
				_, _ = io.WriteString(w, body)
			}
		}})
		protected := guard.Protect(scopeA)(http.NotFoundHandler())
		for _, h := range []http.Handler{protected, http.TimeoutHandler(protected, time.Minute, "")} {
			server := httptest.NewServer(h)
			t.Cleanup(server.Close)
			got, err := server.Client().Get(server.URL)
			require.NoError(t, err)
			require.NoError(t, got.Body.Close())
			assert.Equal(t, http.StatusUnauthorized, got.StatusCode, "%q, %T", body, h)
		}
	}
}

// WriteError accepts any error: adapters pass on the error that Authorize returned.
func TestWriteError(t *testing.T) {
	t.Parallel()
	var none *oauthz.Error
	for _, tt := range []struct {
		name string
		err  error
		want answer
	}{
		{name: "no token", err: oauthz.ErrNoToken, want: noToken},
		{name: "malformed", err: oauthz.ErrInvalidRequest, want: badRequest},
		{name: "bad token", err: oauthz.ErrRevoked, want: badToken},
		{name: "anything else", err: io.EOF, want: cannotTell},
		{name: "a nil Error", err: none, want: ourMistake},
		{name: "an Error", err: &oauthz.Error{Status: 403, Code: "c"}, want: answer{403, `Bearer realm="api", error="c"`, `{"error":"c"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			recorder := httptest.NewRecorder()
			newGuard(t, oauthz.Config{}).WriteError(recorder, get(), tt.err)
			tt.want.check(t, seen(t, recorder.Result(), &spy{}))
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  *oauthz.Error
		want string
	}{
		{err: &oauthz.Error{Status: 401, Code: "invalid_token"}, want: "oauthz: invalid_token"},
		{err: &oauthz.Error{Status: 401, Code: "invalid_token", Description: "sent", Err: io.EOF}, want: "oauthz: invalid_token: EOF"},
		{err: &oauthz.Error{Status: 401, Err: oauthz.ErrNoToken}, want: "oauthz: Unauthorized: oauthz: no token"},
	} {
		assert.EqualError(t, tt.err, tt.want)
		assert.Equal(t, tt.err.Err, tt.err.Unwrap())
	}
	for _, err := range []error{oauthz.ErrExpired, oauthz.ErrRevoked, oauthz.ErrInactive} {
		assert.ErrorIs(t, err, oauthz.ErrInvalidToken)
	}
	assert.NotErrorIs(t, oauthz.ErrUnrecognized, oauthz.ErrInvalidToken)
}
