package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// counting counts the requests that are made.
type counting struct{ n atomic.Int64 }

func (c *counting) Apply(context.Context, *http.Request, url.Values) error { c.n.Add(1); return nil }

// A request is sent only once if a part of an answer came, or if its time has ended.
func TestRequestWithAPartOfAnAnswerIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]transport{
		"too large": func(*http.Request) (*http.Response, error) { return reply(200, strings.Repeat(" ", 300<<10)+good), nil },
		"cut off": func(*http.Request) (*http.Response, error) {
			answer := reply(200, good)
			answer.Body = io.NopCloser(io.MultiReader(strings.NewReader(good), iotest.ErrReader(errors.New("reset"))))
			return answer, nil
		},
		"too late": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var made counting
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := bubbled(t, dial, withAuth(&made)).Introspect(ctx, "opaque")
			require.ErrorIs(t, err, oauthz.ErrUnavailable)
			assert.Equal(t, int64(1), made.n.Load(), name)
		})
	}
}

// If net/http sends a request again by itself, the body is the same.
func TestBodyCanBeSentAgain(t *testing.T) {
	t.Parallel()
	in := bubbled(t, func(r *http.Request) (*http.Response, error) {
		again, err := r.GetBody()
		require.NoError(t, err)
		body, _ := io.ReadAll(again)
		assert.Contains(t, string(body), "token=opaque")
		return reply(200, good), nil
	})
	assert.Zero(t, retryAfter(t, in))
}

// Neither the token nor the secret goes to another origin.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var followed atomic.Bool
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
		t.Cleanup(other.Close)
		e := newEndpoint(t, respond(status, ``, "Location", other.URL))
		assert.Equal(t, fault, ask(t, e.introspector(t), "opaque"), status)
		assert.False(t, followed.Load(), status)
		assert.Len(t, e.received(), 1)
	}
}

// The token is one field of the form, with any bytes. The hint keeps refresh tokens
// out.
func TestTokenIsOneFieldOfTheForm(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, active(``))
	in := e.introspector(t, func(c *remote.Config) { c.Auth = remote.Post("api", "s&c=r%t") })
	token := "a&client_id=evil+%41=~/"
	_, err := in.Introspect(t.Context(), token)
	require.NoError(t, err)
	require.Len(t, e.received(), 1)
	form, err := url.ParseQuery(e.received()[0].body)
	require.NoError(t, err)
	assert.Equal(t, url.Values{
		"token": {token}, "token_type_hint": {"access_token"}, "client_id": {"api"}, "client_secret": {"s&c=r%t"},
	}, form)
	assert.Equal(t, "application/x-www-form-urlencoded", e.received()[0].header.Get("Content-Type"))
	assert.Equal(t, "application/json", e.received()[0].header.Get("Accept"))
}

// A string that cannot be a token of the server is not sent.
func TestUnrecognizedTokenIsNotSent(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, active(``))
	in := e.introspector(t)
	for _, token := range []string{"", strings.Repeat("a", oauthz.MaxTokenBytes+1), "a b", "a\nb", "tök", "a\x00", "\x7f"} {
		_, err := in.Introspect(t.Context(), token)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
	}
	strict := e.introspector(t, func(c *remote.Config) {
		c.Recognize = func(token string) bool { return strings.HasPrefix(token, "tok_") }
	})
	_, err := strict.Introspect(t.Context(), "eyJhbGciOiJub25lIn0.e30.x")
	require.ErrorIs(t, err, oauthz.ErrUnrecognized)
	assert.Empty(t, e.received())
	assert.Equal(t, ok, ask(t, strict, "tok_1"))
}

// A client that goes away ends its call.
func TestCallEndsWithItsClient(t *testing.T) {
	t.Parallel()
	arrived, gone := make(chan struct{}), make(chan struct{})
	e := newEndpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	in := e.introspector(t)
	go func() {
		_, err := in.Introspect(ctx, "opaque")
		done <- err
	}()
	<-arrived
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
	<-gone
}

// Under load, each token gets its own answer.
func TestAnswersDoNotCross(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		active(fmt.Sprintf(`,"sub":%q`, r.PostFormValue("token")))(w, r)
	}))
	t.Cleanup(echo.Close)
	in := (&endpoint{Server: echo}).introspector(t, func(c *remote.Config) { c.Timeout, c.MaxConcurrent = time.Minute, 200 }) // no call waits, so none gives way on a busy machine
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			token := fmt.Sprintf("token-%d", n)
			got, err := in.Introspect(t.Context(), token)
			if assert.NoError(t, err) {
				assert.Equal(t, token, got.Subject)
			}
		})
	}
	all.Wait()
}

// The request to the endpoint is a new one: nothing of the inbound request is
// forwarded.
func TestOnlyOwnCredentialsAreSent(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, active(``))
	require.Equal(t, ok, ask(t, e.introspector(t), "opaque"))
	assert.Equal(t, []string{"Basic YXBpOnNlY3JldA=="}, e.received()[0].header["Authorization"])
}

// A request without an answer is sent once more. A request with an answer, also one
// that is a fault, is not.
func TestRequestWithoutAnAnswerIsSentOnceMore(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer func(n int) (*http.Response, error)
		calls  int
		good   bool
	}{
		{"no answer, then one", func(n int) (*http.Response, error) {
			if n == 1 {
				return nil, errors.New("reset")
			}
			return reply(200, good), nil
		}, 2, true},
		{"never an answer", func(int) (*http.Response, error) { return nil, errors.New("reset") }, 2, false},
		{"an answer", func(int) (*http.Response, error) { return reply(502, ""), nil }, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			in := bubbled(t, func(*http.Request) (*http.Response, error) {
				calls++
				return tt.answer(calls)
			})
			_, err := in.Introspect(t.Context(), "opaque")
			assert.Equal(t, tt.good, err == nil)
			assert.Equal(t, tt.calls, calls)
		})
	}
}

// An endpoint that does not answer costs no more than Timeout.
func TestTimeIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		_, err := in.Introspect(t.Context(), "opaque")
		require.ErrorIs(t, err, oauthz.ErrUnavailable)
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}

// Requests beyond MaxConcurrent wait for their turn.
func TestConcurrentCallsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		in := bubbled(t, func(*http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), under.Add(1)))
			<-time.After(time.Second / 2)
			under.Add(-1)
			return reply(200, good), nil
		}, func(c *remote.Config) { c.MaxConcurrent = 3 })
		var all sync.WaitGroup
		for n := range 9 {
			all.Go(func() {
				_, err := in.Introspect(t.Context(), fmt.Sprint("token", n))
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, int64(3), most.Load())
	})
}
