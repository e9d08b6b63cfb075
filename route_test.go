package oauthz_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

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
			req, ok := oauthz.Route{Guards: tt.requirements}.Combined()
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
