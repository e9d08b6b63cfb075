package remote_test

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// dialect sends a GET without a form, and returns token for every answer.
type dialect struct{ token *oauthz.Token }

func (dialect) Ask(ctx context.Context, endpoint *url.URL, _ string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	return r, nil, err
}

func (d dialect) Answer(*http.Response, []byte) (*oauthz.Token, error) { return d.token, nil }

// The request of a dialect without a form has no body.
func TestDialectWithoutAFormSendsNoBody(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, respond(200, `{}`))
	with := func(d dialect, auth remote.ClientAuth) *remote.Introspector {
		return e.introspector(t, func(c *remote.Config) { c.Dialect, c.Auth = d, auth })
	}
	token := oauthztest.Token(oauthztest.Claims{"aud": audience, "exp": oauthztest.Absent})
	_, err := with(dialect{token: token}, nil).Introspect(t.Context(), "opaque")
	require.NoError(t, err)
	assert.Empty(t, e.received()[0].body)
	assert.NotContains(t, e.received()[0].header, "Content-Type")
	_, err = with(dialect{token: token}, remote.Post("api", "secret")).Introspect(t.Context(), "opaque")
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.ErrorContains(t, err, "needs a request with a form")
	assert.Len(t, e.received(), 1, "nothing is sent without the credentials")
	assert.Equal(t, fault, ask(t, with(dialect{}, nil), "opaque"), "neither a token nor an error")
}

// exp and nbf at the bounds of the leeway, and the validity of the token.
func TestLeewayBoundsExpAndNbf(t *testing.T) {
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
		in := newEndpoint(t, respond(200, `{}`)).introspector(t, func(c *remote.Config) {
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

// limited is a dialect that limits the validity of its verdicts.
type limited struct{ live *atomic.Bool }

func (limited) Ask(ctx context.Context, endpoint *url.URL, _ string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	return r, nil, err
}

func (d limited) Answer(*http.Response, []byte) (*oauthz.Token, error) {
	t := oauthztest.Token(oauthztest.Claims{"aud": audience, "exp": noon.Add(time.Hour)})
	t.SetVerdict(oauthz.Verdict{Until: noon.Add(time.Minute), Live: d.live.Load})
	return t, nil
}

// A cache keeps a verdict no longer than the validity that the dialect sets.
func TestValidityOfADialectBoundsTheCache(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, respond(200, ""))
	now, live := noon, new(atomic.Bool)
	live.Store(true)
	in := e.introspector(t, func(c *remote.Config) { c.Dialect, c.Auth = limited{live}, nil })
	c, err := cache.New(in, cache.Config{TTL: time.Hour, Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	calls := func() int {
		_, err := c.Introspect(t.Context(), "opaque")
		require.NoError(t, err)
		return len(e.received())
	}
	require.Equal(t, 1, calls())
	require.Equal(t, 1, calls())
	live.Store(false)
	require.Equal(t, 2, calls())
	live.Store(true)
	require.Equal(t, 3, calls(), "a verdict that is not live when it comes is not kept")
	now = noon.Add(time.Minute)
	assert.Equal(t, 4, calls())
}
