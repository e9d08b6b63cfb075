package probe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// spy is a handler that counts how often it runs.
type spy struct{ runs atomic.Int64 }

func (s *spy) ServeHTTP(http.ResponseWriter, *http.Request) { s.runs.Add(1) }

var (
	scopeA, scopeB = oauthz.Require("a"), oauthz.Require("b")
	admin          = oauthz.RequireClaim("roles", "admin")
)

// get returns a request without credentials.
func get() *http.Request { return httptest.NewRequest(http.MethodGet, "/orders", nil) }

// newGuard returns a Guard all of whose hooks fail the test.
func newGuard(t *testing.T) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			t.Error("the introspector was called")
			return nil, oauthz.ErrInvalidToken
		}),
		Observe: func(context.Context, oauthz.Decision) { t.Error("a decision was reported") },
	})
	require.NoError(t, err)
	return guard
}

// probed returns the requirements of the Guards in a chain, and how often its end was reached.
func probed(stop int, chain func(http.Handler) http.Handler, r *http.Request) (met []string, ends int64) {
	end := &spy{}
	h := chain(end)
	for _, req := range probe.Requirements[oauthz.Requirement](r, stop, func(r *http.Request) { h.ServeHTTP(httptest.NewRecorder(), r) }) {
		met = append(met, req.String())
	}
	return met, end.runs.Load()
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	guard, other := newGuard(t), newGuard(t)
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

// chained returns the middlewares as one, the first of them outermost.
func chained(middlewares ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		for i := len(middlewares) - 1; i >= 0; i-- {
			h = middlewares[i](h)
		}
		return h
	}
}

// A middleware may continue in another goroutine.
func TestContextIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	guard := newGuard(t)
	met := probe.Requirements[oauthz.Requirement](get(), 0, func(r *http.Request) {
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
