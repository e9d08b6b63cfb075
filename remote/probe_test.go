package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
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

// watching is a dialect that records the tokens of its questions and the number of
// the answers that it read.
type watching struct {
	remote.Dialect

	mu     sync.Mutex
	tokens []string
	read   int
}

func (w *watching) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens = append(w.tokens, token)
	return w.Dialect.Ask(ctx, endpoint, token)
}

func (w *watching) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	w.mu.Lock()
	w.read++
	w.mu.Unlock()
	return w.Dialect.Answer(r, body)
}

// A probe is an ordinary question with the credentials of this API. Each probe has a
// new token, and no dialect reads the answer.
func TestProbeIsAnOrdinaryQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dialect := &watching{Dialect: remote.RFC7662()}
		var mu sync.Mutex
		var requests []recorded
		in, err := remote.New(t.Context(), remote.Config{
			Endpoint: "https://issuer.example/introspect", Auth: remote.Post("api", "secret"), Audience: []string{audience},
			Dialect: dialect, Recognize: func(token string) bool { return token == "opaque" },
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				requests = append(requests, recorded{r.Header, string(body)})
				return reply(503, ""), nil
			})},
		})
		require.NoError(t, err)
		for range 20 {
			_, err := in.Introspect(t.Context(), "opaque")
			require.ErrorIs(t, err, oauthz.ErrUnavailable)
			synctest.Wait()
			<-time.After(2 * time.Second)
		}
		seen := map[string]int{}
		for n, token := range dialect.tokens {
			seen[token]++
			assert.True(t, remote.VisibleASCII(token))
			form, err := url.ParseQuery(requests[n].body)
			require.NoError(t, err)
			assert.Equal(t, []string{"api", "secret", "access_token"},
				[]string{form.Get("client_id"), form.Get("client_secret"), form.Get("token_type_hint")})
			assert.Equal(t, requests[0].header, requests[n].header)
		}
		assert.Equal(t, 20, seen["opaque"])
		assert.Len(t, seen, 20, "a new token for each probe")
		assert.Zero(t, dialect.read)
	})
}

// Every sign of life closes the breaker: any answer to the probe, while the trial gets
// none.
func TestAnyAnswerToTheProbeClosesTheBreaker(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 204, 302, 400, 401, 403, 404, 410, 429, 500, 501} {
		synctest.Test(t, func(t *testing.T) {
			var up atomic.Bool
			in := bubbled(t, func(r *http.Request) (*http.Response, error) {
				form, _ := io.ReadAll(r.Body)
				switch values, _ := url.ParseQuery(string(form)); {
				case up.Load() && values.Get("token") == "good":
					return reply(200, good), nil
				case up.Load() && values.Get("token") != "junk":
					return reply(status, "nonsense"), nil
				default:
					return nil, errors.New("refused")
				}
			})
			for range 3 {
				_, err := in.Introspect(t.Context(), "junk")
				require.Error(t, err)
				synctest.Wait()
				<-time.After(1500 * time.Millisecond)
			}
			_, err := in.Introspect(t.Context(), "good")
			require.True(t, isDown(err), "%v", err)
			up.Store(true)
			<-time.After(2 * time.Second)
			_, err = in.Introspect(t.Context(), "junk") // the trial
			require.Error(t, err)
			synctest.Wait()
			_, err = in.Introspect(t.Context(), "good")
			assert.NoError(t, err, status)
		})
	}
}

// The probes of an endpoint end with the context of New, and their number is bounded
// for every Timeout.
func TestProbesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		asked, under := questions{}, atomic.Int64{}
		in, err := remote.New(ctx, remote.Config{
			Endpoint: "https://issuer.example/i", Auth: remote.None(""), Audience: []string{audience}, Timeout: time.Hour,
			HTTPClient: &http.Client{Transport: counted(&asked, func(r *http.Request) (*http.Response, error) {
				under.Add(1)
				defer under.Add(-1)
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		})
		require.NoError(t, err)
		for range 60 {
			brief, done := context.WithTimeout(t.Context(), 2*time.Second)
			_, err := in.Introspect(brief, "opaque")
			require.Error(t, err)
			done()
		}
		assert.Equal(t, questions{own: 60, probes: 3}, asked)
		require.Equal(t, int64(3), under.Load())
		cancel()
		synctest.Wait()
		assert.Zero(t, under.Load())
	})
}

// opaqueOnly has credentials only for the token opaque.
type opaqueOnly struct{}

func (opaqueOnly) Apply(_ context.Context, _ *http.Request, form url.Values) error {
	if form.Get("token") != "opaque" {
		return errors.New("no credentials")
	}
	return nil
}

// A probe that cannot be sent proves nothing, and does not open the breaker.
func TestProbeThatCannotBeSentOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := bubbled(t, func(*http.Request) (*http.Response, error) { return reply(502, ""), nil }, withAuth(opaqueOnly{}))
		for range 20 {
			require.Zero(t, retryAfter(t, in))
			synctest.Wait()
			<-time.After(time.Second)
		}
	})
}
