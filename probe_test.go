package oauthz_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// unhooked is a configuration all of whose hooks fail the test.
func unhooked(t *testing.T) oauthz.Config {
	return oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			t.Error("the introspector was asked")
			return nil, oauthz.ErrInvalidToken
		}),
		Observe: func(context.Context, oauthz.Decision) { t.Error("a decision was reported") },
	}
}

// probed says what the Guards of h require, and how often its end was reached.
func probed(stop int, chain func(http.Handler) http.Handler, r *http.Request) (met []string, ends int64) {
	end := &spy{}
	h := chain(end)
	for _, req := range oauthz.Probe(r, stop, func(r *http.Request) { h.ServeHTTP(httptest.NewRecorder(), r) }) {
		met = append(met, req.String())
	}
	return met, end.runs.Load()
}

func TestProbe(t *testing.T) {
	t.Parallel()
	guard, other := newGuard(t, unhooked(t)), newGuard(t, unhooked(t))
	plain := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
	}
	twice := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			next.ServeHTTP(w, r)
		})
	}
	for _, tt := range []struct {
		name  string
		chain func(http.Handler) http.Handler
		stop  int
		want  []string
		ends  int64
	}{
		{name: "no Guard", chain: plain, ends: 1},
		{name: "one", chain: guard.Protect(scopeA), want: []string{"scope a"}, ends: 1},
		{name: "public", chain: guard.Protect(oauthz.Public()), want: []string{"public"}, ends: 1},
		{name: "nested, the outermost first", chain: chained(guard.Protect(scopeA), plain, other.Protect(scopeB), guard.Protect(admin)), want: []string{"scope a", "scope b", admin.String()}, ends: 1},
		{name: "stopped at the last", chain: chained(guard.Protect(scopeA), plain, guard.Protect(scopeB)), stop: 2, want: []string{"scope a", "scope b"}},
		{name: "stopped at a public one", chain: guard.Protect(oauthz.Public()), stop: 1, want: []string{"public"}},
		{name: "stopped before the last", chain: chained(guard.Protect(scopeA), guard.Protect(scopeB)), stop: 1, want: []string{"scope a"}},
		{name: "stopped whenever it comes back", chain: chained(twice, guard.Protect(scopeA)), stop: 1, want: []string{"scope a", "scope a"}},
		{name: "not stopped, for there are fewer", chain: guard.Protect(scopeA), stop: 2, want: []string{"scope a"}, ends: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			met, ends := probed(tt.stop, tt.chain, get())
			assert.Equal(t, tt.want, met)
			assert.Equal(t, tt.ends, ends)
		})
	}
}

// chained is the middlewares in one, the first the outermost.
func chained(middlewares ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		for i := len(middlewares) - 1; i >= 0; i-- {
			h = middlewares[i](h)
		}
		return h
	}
}

// A probe judges nothing: not the credentials, and not what an outer Guard found.
func TestProbeLooksAtNothing(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, unhooked(t))
	for name, r := range map[string]*http.Request{
		"a token": withGoodToken(), "malformed": get("Bearer a b"), "repeated": get("Bearer a", "Bearer b"),
	} {
		met, ends := probed(0, guard.Protect(scopeA), r)
		assert.Equal(t, []string{"scope a"}, met, name)
		assert.EqualValues(t, 1, ends, name)
	}
	granting, ran := newGuard(t, oauthz.Config{Introspector: knows(`{"scope":"b"}`)}), false
	granting.Protect(oauthz.Require())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ran = true
		met, _ := probed(0, granting.Protect(scopeA), r)
		assert.Equal(t, []string{"scope a"}, met)
	})).ServeHTTP(httptest.NewRecorder(), withGoodToken())
	assert.True(t, ran)
}

// Where a probe stops, a Guard refuses: as unavailable, and with an error that names no other reason.
func TestProbeStopsWithARefusal(t *testing.T) {
	t.Parallel()
	guard, refused := newGuard(t, oauthz.Config{}), error(nil)
	oauthz.Probe(get(), 1, func(r *http.Request) { _, refused = guard.Authorize(r, oauthz.Public()) })
	var e *oauthz.Error
	require.ErrorAs(t, refused, &e)
	assert.Equal(t, http.StatusServiceUnavailable, e.Status)
	require.ErrorIs(t, refused, oauthz.ErrUnavailable)
	assert.NotErrorIs(t, refused, oauthz.ErrInvalidToken)
}

// The request of a probe is the one that was given, but for its context; and the context is still that of the caller.
func TestProbeKeepsTheRequest(t *testing.T) {
	t.Parallel()
	type key struct{}
	r := withGoodToken().WithContext(context.WithValue(t.Context(), key{}, "kept"))
	oauthz.Probe(r, 0, func(got *http.Request) {
		assert.Equal(t, r.URL, got.URL)
		assert.Equal(t, "kept", got.Context().Value(key{}))
		_, found := oauthz.TokenFrom(got.Context())
		assert.False(t, found)
	})
	_, err := newGuard(t, oauthz.Config{}).Authorize(r, scopeA)
	require.ErrorIs(t, err, oauthz.ErrInsufficientScope, "the caller's own request is no probe")
}

// A middleware may go on in another goroutine.
func TestProbeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	met := oauthz.Probe(get(), 0, func(r *http.Request) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_, err := guard.Authorize(r, scopeA)
				assert.NoError(t, err)
			})
		}
		all.Wait()
	})
	assert.Len(t, met, 50)
}

func TestProtected(t *testing.T) {
	t.Parallel()
	guard, other := newGuard(t, oauthz.Config{}), newGuard(t, oauthz.Config{})
	h := &spy{}
	requirements, inner := oauthz.Protected(h)
	assert.Empty(t, requirements)
	assert.Same(t, h, inner)
	requirements, inner = oauthz.Protected(guard.Protect(scopeA)(other.Protect(scopeB)(h)))
	assert.Equal(t, []oauthz.Requirement{scopeA, scopeB}, requirements)
	assert.Same(t, h, inner)
	requirements, inner = oauthz.Protected(nil)
	assert.Empty(t, requirements)
	assert.Nil(t, inner)
	assert.Zero(t, h.runs.Load())
}

func TestRouteRequirement(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		requirements []oauthz.Requirement
		want         string
		ok           bool
	}{
		{name: "none", want: "public"},
		{name: "one", requirements: []oauthz.Requirement{scopeA}, want: "scope a", ok: true},
		{name: "a group and a route", requirements: []oauthz.Requirement{oauthz.Require(), scopeA}, want: "all(any valid token, scope a)", ok: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, ok := oauthz.Route{Requirements: tt.requirements}.Requirement()
			assert.Equal(t, tt.want, req.String())
			assert.Equal(t, tt.ok, ok)
		})
	}
}

// The pattern of a Decision is the one that matched, and never the path.
func TestDecisionPattern(t *testing.T) {
	t.Parallel()
	w := &watch{}
	guard := newGuard(t, oauthz.Config{Observe: w.observe})
	inner := http.NewServeMux()
	inner.Handle("GET /orders/{id}", guard.Protect(oauthz.Require())(&spy{}))
	outer := http.NewServeMux()
	outer.Handle("/orders/", guard.Protect(oauthz.Require())(inner))
	r := withGoodToken()
	r.URL.Path = "/orders/secret-17"
	guard.Protect(oauthz.Require())(outer).ServeHTTP(httptest.NewRecorder(), r)
	_, err := guard.AuthorizeRoute(get(), oauthz.Require(), "/orders/:id")
	assert.Error(t, err)
	var got []string
	for _, d := range w.decisions {
		got = append(got, d.Pattern)
	}
	assert.Equal(t, []string{"", "/orders/", "GET /orders/{id}", "/orders/:id"}, got)
}

func TestProtectRefusesNoGuard(t *testing.T) {
	t.Parallel()
	var none *oauthz.Guard
	assert.PanicsWithValue(t, "oauthz: Protect: nil Guard", func() { none.Protect(oauthz.Public()) })
}
