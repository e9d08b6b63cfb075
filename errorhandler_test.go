package oauthz_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// flushes are ErrorHandlers that also use the optional interfaces of a ResponseWriter.
var flushes = []struct {
	name    string
	handler func(*testing.T, http.ResponseWriter)
	want    answer
}{
	{
		name: "flushes", want: lacksScope("a"),
		handler: func(t *testing.T, w http.ResponseWriter) { assert.NoError(t, http.NewResponseController(w).Flush()) },
	},
	{
		name: "flushes, then writes", want: answer{403, lacksScope("a").challenge, "no"},
		handler: func(t *testing.T, w http.ResponseWriter) {
			assert.NoError(t, http.NewResponseController(w).Flush())
			_, _ = io.WriteString(w, "no")
		},
	},
	{
		name: "flushes by the old interface, then writes", want: answer{403, lacksScope("a").challenge, "no"},
		handler: func(t *testing.T, w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "no")
		},
	},
	{
		name: "writes, flushes and writes", want: answer{403, lacksScope("a").challenge, "no"},
		handler: func(t *testing.T, w http.ResponseWriter) {
			_, _ = io.WriteString(w, "n")
			assert.NoError(t, http.NewResponseController(w).Flush())
			_, _ = io.WriteString(w, "o")
		},
	},
	{
		name: "flushes a status of its own", want: answer{404, lacksScope("a").challenge, ""},
		handler: func(t *testing.T, w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotFound)
			assert.NoError(t, http.NewResponseController(w).Flush())
		},
	},
	{
		name: "flushes after a hint", want: answer{403, lacksScope("a").challenge, "no"},
		handler: func(t *testing.T, w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			assert.NoError(t, http.NewResponseController(w).Flush())
			_, _ = io.WriteString(w, "no")
		},
	},
	{
		name: "copies", want: answer{403, lacksScope("a").challenge, "no"},
		handler: func(t *testing.T, w http.ResponseWriter) {
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("no")}) // which looks for io.ReaderFrom
			assert.NoError(t, err)
		},
	},
	{
		name: "flushes and panics", want: answer{403, lacksScope("a").challenge, ""},
		handler: func(t *testing.T, w http.ResponseWriter) {
			assert.NoError(t, http.NewResponseController(w).Flush())
			panic("too late for another status")
		},
	},
	{
		name: "hijacks", want: lacksScope("a"),
		handler: func(t *testing.T, w http.ResponseWriter) {
			_, _, err := http.NewResponseController(w).Hijack()
			assert.ErrorIs(t, err, http.ErrNotSupported)
		},
	},
	{
		name: "sets deadlines", want: lacksScope("a"),
		handler: func(t *testing.T, w http.ResponseWriter) {
			assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
		},
	},
}

// A refusal has the status of a refusal, in whatever order an ErrorHandler uses the parts of a real server's ResponseWriter.
func TestErrorHandlerThatFlushes(t *testing.T) {
	t.Parallel()
	for _, tt := range flushes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handler := &spy{}
			guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) { tt.handler(t, w) }})
			protected := guard.Protect(scopeA)(handler)
			server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				protected.ServeHTTP(w, logging(r, io.Discard)) // of panics
			}))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+goodToken)
			got, err := server.Client().Do(r)
			require.NoError(t, err)
			tt.want.check(t, seen(t, got, handler))
		})
	}
}

// If the ResponseWriter cannot flush, the status of the refusal is still sent, and the ErrorHandler receives the error.
func TestErrorHandlerBehindAWriterThatCannotFlush(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ *oauthz.Error) {
		assert.ErrorIs(t, http.NewResponseController(w).Flush(), errors.ErrUnsupported)
	}})
	handler, recorder := &spy{}, httptest.NewRecorder()
	guard.Protect(scopeA)(handler).ServeHTTP(struct{ http.ResponseWriter }{recorder}, withGoodToken())
	lacksScope("a").check(t, seen(t, recorder.Result(), handler))
}

// Many requests may receive the same error of an introspector: concurrent requests that share one call, and requests that
// a cache of refusals answers.
func TestEachRequestHasItsOwnError(t *testing.T) {
	t.Parallel()
	shared := func() *oauthz.Error {
		age := time.Minute
		return &oauthz.Error{
			Status: 401, Code: "insufficient_user_authentication", Description: "login", Scopes: []string{"a"}, ACRValues: []string{"gold"},
			MaxAge: &age, Header: http.Header{"X-More": {"one"}}, Err: io.EOF,
		}
	}
	change := func(e *oauthz.Error) {
		e.Status, e.Code, e.Err = 418, "changed", nil
		e.Scopes[0], e.ACRValues[0], *e.MaxAge = "changed", "changed", time.Hour
		e.Header["X-More"][0] = "changed"
		e.Header.Set("X-Changed", "changed")
	}
	err := shared()
	guard := newGuard(t, oauthz.Config{
		Introspector: answers(nil, fmt.Errorf("wrapped: %w", err)),
		Observe: func(_ context.Context, d oauthz.Decision) {
			assert.Equal(t, shared(), d.Err)
			change(d.Err)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) { change(e) },
	})
	var requests sync.WaitGroup
	for range 20 { // -race sees those that change the same
		requests.Go(func() { serve(t, guard, oauthz.Require(), withGoodToken()) })
	}
	requests.Wait()
	assert.Equal(t, shared(), err)
}

// An ErrorHandler cannot change the error of the caller of WriteError.
func TestWriteErrorLeavesTheErrorAlone(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
		e.Status, e.Scopes[0] = 500, "changed"
	}})
	_, err := guard.Authorize(get(), scopeA)
	recorder := httptest.NewRecorder()
	guard.WriteError(recorder, get(), err)
	assert.Equal(t, http.StatusUnauthorized, recorder.Code)
	assert.Equal(t, &oauthz.Error{Status: 401, Scopes: []string{"a"}, Err: oauthz.ErrNoToken}, err)
}
