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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// IN-13: neither the token nor the secret goes to another origin.
func TestIN13RedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var followed atomic.Bool
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
		t.Cleanup(other.Close)
		e := newEndpoint(t, says(status, ``, "Location", other.URL))
		assert.Equal(t, fault, ask(t, e.introspector(t), "opaque"), status)
		assert.False(t, followed.Load(), status)
		assert.Len(t, e.asked(), 1)
	}
}

// IN-25: the token is one field of the form, whatever it holds, and the hint
// keeps refresh tokens out.
func TestIN25OneFieldOfTheForm(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, active(``))
	in := e.introspector(t, func(c *remote.Config) { c.Auth = remote.Post("api", "s&c=r%t") })
	token := "a&client_id=evil+%41=~/"
	_, err := in.Introspect(t.Context(), token)
	require.NoError(t, err)
	require.Len(t, e.asked(), 1)
	form, err := url.ParseQuery(e.asked()[0].body)
	require.NoError(t, err)
	assert.Equal(t, url.Values{
		"token": {token}, "token_type_hint": {"access_token"}, "client_id": {"api"}, "client_secret": {"s&c=r%t"},
	}, form)
	assert.Equal(t, "application/x-www-form-urlencoded", e.asked()[0].header.Get("Content-Type"))
	assert.Equal(t, "application/json", e.asked()[0].header.Get("Accept"))
}

// IN-26, IN-27: what cannot be a token of the server is not sent.
func TestIN26NothingIsSent(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, active(``))
	in := e.introspector(t)
	for _, token := range []string{"", strings.Repeat("a", oauthz.MaxTokenBytes+1), "a b", "a\nb", "tök", "a\x00", "\x7f"} {
		_, err := in.Introspect(t.Context(), token)
		assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
	}
	own := e.introspector(t, func(c *remote.Config) {
		c.Recognize = func(token string) bool { return strings.HasPrefix(token, "tok_") }
	})
	_, err := own.Introspect(t.Context(), "eyJhbGciOiJub25lIn0.e30.x")
	require.ErrorIs(t, err, oauthz.ErrUnrecognized)
	assert.Empty(t, e.asked())
	assert.Equal(t, ok, ask(t, own, "tok_1"))
}

// IN-29: a client that goes away ends the call that only it wanted.
func TestIN29CancelledWithTheClient(t *testing.T) {
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

// IN-21: under load, no answer reaches another token's question.
func TestIN21AnswersDoNotCross(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		active(fmt.Sprintf(`,"sub":%q`, r.PostFormValue("token")))(w, r)
	}))
	t.Cleanup(echo.Close)
	in := (&endpoint{Server: echo}).introspector(t, func(c *remote.Config) { c.Timeout = time.Minute }) // on a busy machine too
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

// The inbound request is never forwarded: what is sent is made here.
func TestOnlyOwnCredentialsAreSent(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, active(``))
	require.Equal(t, ok, ask(t, e.introspector(t), "opaque"))
	assert.Equal(t, []string{"Basic YXBpOnNlY3JldA=="}, e.asked()[0].header["Authorization"])
}

// transport answers without a network, so that time can be a bubble's.
type transport func(r *http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

const good = `{"active":true,"aud":"https://api.example"}`

func bubbled(t *testing.T, dial transport) *remote.Introspector {
	t.Helper()
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: "https://issuer.example/introspect", Auth: remote.None(""), Audience: []string{audience},
		HTTPClient: &http.Client{Transport: dial},
	})
	require.NoError(t, err)
	return in
}

// IN-15: a request that got no answer is sent once more, an answer is an answer.
func TestIN15OneRetry(t *testing.T) {
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

// IN-17: an endpoint that does not answer, or trickles, costs no more than the
// timeout.
func TestIN17TimeIsBounded(t *testing.T) {
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

// More requests wait for their turn.
func TestConcurrentCallsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		in, err := remote.New(t.Context(), remote.Config{
			Endpoint: "https://issuer.example/introspect", Auth: remote.None(""), Audience: []string{audience}, MaxConcurrent: 3,
			HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
				most.Store(max(most.Load(), under.Add(1)))
				<-time.After(time.Second / 2)
				under.Add(-1)
				return reply(200, good), nil
			})},
		})
		require.NoError(t, err)
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
