package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

func TestConfigBounds(t *testing.T) {
	t.Parallel()
	signed := func(c *remote.Config) { c.Issuer, c.Signed = "https://issuer.example", &remote.Signed{Audience: "api"} }
	const negative = "remote: config: Timeout, MaxConcurrent or MaxAnswerBytes is negative"
	tests := []struct {
		name   string
		change func(*remote.Config)
		want   string // "": accepted
	}{
		{"concurrency", func(c *remote.Config) { c.MaxConcurrent = -1 }, negative},
		{"bytes", func(c *remote.Config) { c.MaxAnswerBytes = -1 }, negative},
		{"most leeway", func(c *remote.Config) { c.Leeway = oauthz.MaxLeeway }, ""},
		{"assertion of nobody", func(c *remote.Config) { c.Auth = remote.ClientSecretJWT("", "secret", "") }, "remote: config: Auth: client id is empty"},
		{"own dialect without Auth", func(c *remote.Config) { c.Dialect, c.Auth = dialect{}, nil }, ""},
		{"signed", signed, ""},
		{"signed, own dialect", func(c *remote.Config) { signed(c); c.Dialect = dialect{} }, "remote: config: Signed: only with the dialect of RFC 7662"},
		{"signed, keys over http", func(c *remote.Config) { signed(c); c.Signed.JWKSURL = "http://issuer.example" }, "remote: config: Signed: JWKSURL: want an https URL"},
		{"signed, issuer over http", func(c *remote.Config) { signed(c); c.Issuer = "http://issuer.example" }, "remote: config: Signed: cannot discover the keys of Issuer, and there is no JWKSURL"},
		{"signed, age", func(c *remote.Config) { signed(c); c.Signed.MaxAge = -1 }, "remote: config: Signed: MaxAge is negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := remote.Config{
				Endpoint: "https://issuer.example/introspect", Auth: remote.None(""), Audience: []string{audience},
				HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return reply(404, ""), nil })},
			}
			tt.change(&cfg)
			_, err := remote.New(t.Context(), cfg)
			assert.Equal(t, tt.want, strings.TrimPrefix(fmt.Sprint(err), "<nil>"))
		})
	}
}

// dialect asks with a GET and no form, and says what it is told to.
type dialect struct{ token *oauthz.Token }

func (dialect) Ask(ctx context.Context, endpoint *url.URL, _ string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	return r, nil, err
}

func (d dialect) Answer(*http.Response, []byte) (*oauthz.Token, error) { return d.token, nil }

// A dialect whose request has no form: none is made up for it.
func TestDialectWithoutAForm(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, says(200, `{}`))
	with := func(d dialect, auth remote.ClientAuth) *remote.Introspector {
		return e.introspector(t, func(c *remote.Config) { c.Dialect, c.Auth = d, auth })
	}
	token := oauthztest.Token(oauthztest.Claims{"aud": audience, "exp": oauthztest.Absent})
	_, err := with(dialect{token: token}, nil).Introspect(t.Context(), "opaque")
	require.NoError(t, err)
	assert.Empty(t, e.asked()[0].body)
	assert.NotContains(t, e.asked()[0].header, "Content-Type")
	_, err = with(dialect{token: token}, remote.Post("api", "secret")).Introspect(t.Context(), "opaque")
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.ErrorContains(t, err, "needs a request with a form")
	assert.Len(t, e.asked(), 1, "nothing is sent without the credentials")
	assert.Equal(t, fault, ask(t, with(dialect{}, nil), "opaque"), "neither a token nor an error")
}

// The times at their edges, and until when an answer may be relied on.
func TestEdgesOfTime(t *testing.T) {
	t.Parallel()
	after := func(s time.Duration) time.Time { return noon.Add(s * time.Second) }
	for name, tt := range map[string]struct {
		leeway   time.Duration
		exp, nbf any
		err      error
		until    time.Time
	}{
		"exp within the leeway": {0, after(-59), after(-90), nil, after(1)},
		"exp at the leeway":     {0, after(-60), after(-90), oauthz.ErrExpired, time.Time{}},
		"nbf at the leeway":     {0, oauthztest.Absent, after(60), nil, time.Time{}},
		"nbf beyond":            {0, after(90), after(61), oauthz.ErrInvalidToken, time.Time{}},
		"no leeway":             {-time.Hour, after(1), after(0), nil, after(1)},
		"no leeway, expired":    {-time.Hour, after(0), after(0), oauthz.ErrExpired, time.Time{}},
		"no leeway, nbf":        {-time.Hour, after(90), after(1), oauthz.ErrInvalidToken, time.Time{}},
	} {
		in := newEndpoint(t, says(200, `{}`)).introspector(t, func(c *remote.Config) {
			c.Leeway = tt.leeway
			c.Dialect = dialect{token: oauthztest.Token(oauthztest.Claims{"aud": audience, "exp": tt.exp, "nbf": tt.nbf})}
		})
		got, err := in.Introspect(t.Context(), "opaque")
		require.ErrorIs(t, err, tt.err, name)
		if err == nil {
			until, _ := got.Validity()
			assert.True(t, tt.until.Equal(until), name)
		}
	}
}

// Answers on the edge of what is understood.
func TestAnswersOnTheEdge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]in{
		"no media type":              {answer: says(200, good, "Content-Type", "; charset=utf-8"), want: fault},
		"refresh in a longer name":   {answer: active(`,"token_type":"urn:ietf:params:oauth:token-type:refresh_token"`), want: invalid},
		"401 with the code of a 400": {answer: says(401, `{"error":"unsupported_token_type"}`), want: fault},
		"500 with Retry-After":       {answer: says(500, ``, "Retry-After", "7"), want: answer{status: 503, retryAfter: "7"}},
		"an issuer nobody asked for": {answer: active(`,"iss":"https://other.example"`), want: ok},
	} {
		assert.Equal(t, tt.want, ask(t, newEndpoint(t, tt.answer).introspector(t), "opaque"), name)
	}
	mine := []string{audience}
	in := newEndpoint(t, active(``)).introspector(t, func(c *remote.Config) { c.Audience = mine })
	mine[0] = "https://other.example"
	_, err := in.Introspect(t.Context(), strings.Repeat("a", oauthz.MaxTokenBytes))
	assert.NoError(t, err, "the longest token, and the configuration as it was given")
}

// Credentials that are not there are not sent.
func TestBearerWithoutAToken(t *testing.T) {
	t.Parallel()
	for token, err := range map[oauthz.Secret]error{"": nil, "expired": errors.New("cannot refresh")} {
		e := newEndpoint(t, active(``))
		in := e.introspector(t, func(c *remote.Config) {
			c.Auth = remote.Bearer(func(context.Context) (oauthz.Secret, error) { return token, err })
		})
		assert.Equal(t, fault, ask(t, in, "opaque"))
		assert.Empty(t, e.asked())
	}
}

// counting counts the requests that are made.
type counting struct{ n atomic.Int64 }

func (c *counting) Apply(context.Context, *http.Request, url.Values) error { c.n.Add(1); return nil }

// IN-15: only a request that got no answer, and in time, is sent again.
func TestWhatIsSentOnce(t *testing.T) {
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
			_, err := bubbledWith(t, dial, &made).Introspect(ctx, "opaque")
			require.ErrorIs(t, err, oauthz.ErrUnavailable)
			assert.Equal(t, int64(1), made.n.Load(), name)
		})
	}
}

// What net/http may send again by itself is the same.
func TestSentAgain(t *testing.T) {
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

func bubbledWith(t *testing.T, dial transport, auth remote.ClientAuth) *remote.Introspector {
	t.Helper()
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: "https://issuer.example/introspect", Auth: auth, Audience: []string{audience},
		HTTPClient: &http.Client{Transport: dial},
	})
	require.NoError(t, err)
	return in
}

// retryAfter asks, and returns how long to wait, or zero.
func retryAfter(t *testing.T, in *remote.Introspector) time.Duration {
	t.Helper()
	_, err := in.Introspect(t.Context(), "opaque")
	var e *oauthz.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	require.NoError(t, err)
	return 0
}

// Only the absence of an answer opens the breaker. Credentials that are not to be
// had say nothing of the endpoint, and do not keep the next request from it.
func TestWhatOpensTheBreaker(t *testing.T) {
	t.Parallel()
	large := map[int]string{200: strings.Repeat(" ", 300<<10)}
	for status, opens := range map[int]bool{200: false, 500: false, 501: false, 502: true, 503: true, 504: true} {
		synctest.Test(t, func(t *testing.T) {
			up, own := false, oauthz.Secret("own")
			in := bubbledWith(t, func(*http.Request) (*http.Response, error) {
				if up {
					return reply(200, good), nil
				}
				return reply(status, large[status]), nil
			}, remote.Bearer(func(context.Context) (oauthz.Secret, error) { return own, nil }))
			for range 4 {
				require.Zero(t, retryAfter(t, in))
			}
			<-time.After(2 * time.Second)
			require.Zero(t, retryAfter(t, in))
			synctest.Wait() // for the probe
			up, own = true, ""
			assert.Equal(t, opens, retryAfter(t, in) == 2*time.Second, status)
			<-time.After(2 * time.Second)
			for range 10 {
				require.Zero(t, retryAfter(t, in), "no credentials")
				synctest.Wait()
			}
			own = "own"
			_, err := in.Introspect(t.Context(), "opaque")
			assert.NoError(t, err)
		})
	}
}

// Signed answers: their age and the leeway to the second, and their bounds.
func TestSignedAnswersOnTheEdge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age    time.Duration // 0: the default
		iat    time.Duration
		header string
		want   answer
	}{
		"default age":      {0, -6 * time.Minute, "", ok},
		"longer age":       {time.Hour, -61 * time.Minute, "", ok},
		"older than that":  {time.Hour, -61*time.Minute - time.Second, "", fault},
		"in the future":    {0, time.Minute, "", ok},
		"header too large": {0, 0, strings.Repeat("x", 9<<10), fault},
	} {
		as, e, _ := signing(t, func(as *oauthztest.Server) (string, string) {
			return signedMedia, mintAnswer(as, oauthztest.Claims{"iat": noon.Add(tt.iat)}, oauthztest.WithHeader("x", tt.header))
		})
		in := e.introspector(t, func(c *remote.Config) {
			c.Issuer, c.Signed = as.Issuer(), &remote.Signed{Audience: "api", MaxAge: tt.age, JWKSURL: as.JWKSURL()}
		})
		assert.Equal(t, tt.want, ask(t, in, "opaque"), name)
	}
}

// Who waits for the endpoint to be discovered waits no longer than it wants to;
// it is looked for at least every five seconds, as long as the context lasts.
func TestDiscoveryWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		in, err := remote.New(ctx, remote.Config{
			Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience},
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				calls.Add(1)
				<-time.After(2 * time.Second)
				return reply(404, ""), r.Context().Err()
			})},
		})
		require.NoError(t, err)
		brief, done := context.WithTimeout(t.Context(), time.Second)
		defer done()
		start := time.Now()
		_, err = in.Introspect(brief, "opaque")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		<-time.After(time.Minute)
		before := calls.Load()
		<-time.After(90 * time.Second)
		assert.InDelta(t, 27, calls.Load()-before, 9, "two places of two seconds each, and a pause of 1.25 to 5 seconds")
		cancel()
		<-time.After(10 * time.Second)
		before = calls.Load()
		<-time.After(time.Minute)
		assert.Equal(t, before, calls.Load())
	})
}
