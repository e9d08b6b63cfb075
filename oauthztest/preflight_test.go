package oauthztest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
	"github.com/oauthz/oauthz/oauthztest"
)

// allowing returns a Guard that refuses every token. It lets preflights through if preflights is true.
func allowing(t *testing.T, preflights bool) *oauthz.Guard {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{
		AllowPreflight: preflights,
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			return nil, oauthz.ErrInvalidToken
		}),
	})
	require.NoError(t, err)
	return guard
}

// preflightTests are routes behind Guards, with their lines in the table.
var preflightTests = []struct {
	name     string
	pattern  string
	protect  func(open, closed *oauthz.Guard, h http.Handler) http.Handler
	want     string // the last column
	security string // the security field of an OpenAPI document
	reached  bool   // by a preflight with a bad token
}{
	{
		name: "every method", pattern: "/orders", want: "scope a or preflight", security: `[{"at":["a"]},{}]`, reached: true,
		protect: func(open, _ *oauthz.Guard, h http.Handler) http.Handler { return open.Protect(oauthz.Require("a"))(h) },
	},
	{
		name: "OPTIONS", pattern: "OPTIONS /orders", want: "scope a or preflight", security: `[{"at":["a"]},{}]`, reached: true,
		protect: func(open, _ *oauthz.Guard, h http.Handler) http.Handler { return open.Protect(oauthz.Require("a"))(h) },
	},
	{
		name: "another method", pattern: "GET /orders", want: "scope a", security: `[{"at":["a"]}]`,
		protect: func(open, _ *oauthz.Guard, h http.Handler) http.Handler { return open.Protect(oauthz.Require("a"))(h) },
	},
	{
		name: "anonymous", pattern: "/orders", want: "scope a or anonymous or preflight", security: `[{"at":["a"]},{}]`, reached: true,
		protect: func(open, _ *oauthz.Guard, h http.Handler) http.Handler {
			return open.Protect(oauthz.Require("a").OrAnonymous())(h)
		},
	},
	{
		name: "public", pattern: "/orders", want: "public", security: `[]`, reached: true,
		protect: func(open, _ *oauthz.Guard, h http.Handler) http.Handler { return open.Protect(oauthz.Public())(h) },
	},
	{
		name: "a Guard that refuses preflights", pattern: "/orders", want: "scope a", security: `[{"at":["a"]}]`,
		protect: func(_, closed *oauthz.Guard, h http.Handler) http.Handler {
			return closed.Protect(oauthz.Require("a"))(h)
		},
	},
	{
		name: "two that let them through", pattern: "/orders", want: "all(scope a or preflight, scope b or preflight)",
		security: `[{"at":["a","b"]},{}]`, reached: true,
		protect: func(open, _ *oauthz.Guard, h http.Handler) http.Handler {
			return open.Protect(oauthz.Require("a"))(open.Protect(oauthz.Require("b"))(h))
		},
	},
	{
		name: "one that does, and one that does not", pattern: "/orders", want: "all(scope a or preflight, scope b)", security: `[{"at":["a","b"]}]`,
		protect: func(open, closed *oauthz.Guard, h http.Handler) http.Handler {
			return open.Protect(oauthz.Require("a"))(closed.Protect(oauthz.Require("b"))(h))
		},
	},
	{
		name: "before a public one", pattern: "/orders", want: "all(scope a or preflight, public)", security: `[{"at":["a"]},{}]`, reached: true,
		protect: func(open, closed *oauthz.Guard, h http.Handler) http.Handler {
			return open.Protect(oauthz.Require("a"))(closed.Protect(oauthz.Public())(h))
		},
	},
}

// The table and OpenAPI show where a preflight, which any client can send, reaches a handler without a token.
func TestRouteTableShowsPreflights(t *testing.T) {
	t.Parallel()
	for _, tt := range preflightTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ran := false
			mux := &oauthztest.Mux{}
			mux.Handle(tt.pattern, tt.protect(allowing(t, true), allowing(t, false), http.HandlerFunc(
				func(http.ResponseWriter, *http.Request) { ran = true },
			)))
			routes := mux.Routes()
			require.Len(t, routes, 1)
			req, ok := routes[0].Combined()
			assert.True(t, ok)
			assert.Equal(t, tt.want, req.String())
			assert.Contains(t, oauthztest.RouteTable(t, routes), " "+tt.want+"\n")

			security, err := req.OpenAPI("at")
			require.NoError(t, err)
			got, err := json.Marshal(security)
			require.NoError(t, err)
			assert.Equal(t, tt.security, string(got))

			r := httptest.NewRequest(http.MethodOptions, "/orders", nil)
			r.Header.Set("Origin", "https://anybody.example")
			r.Header.Set("Access-Control-Request-Method", "DELETE")
			r.Header.Set("Authorization", "Bearer bad")
			mux.ServeHTTP(httptest.NewRecorder(), r)
			assert.Equal(t, tt.reached, ran)
		})
	}
}

// Preflights also reach the route that adapters list for requests that no other route answers.
func TestPreflightsReachRoutesWithoutAMethod(t *testing.T) {
	t.Parallel()
	requirements, _ := oauthz.Protected(allowing(t, true).Protect(oauthz.Require("a"))(http.NotFoundHandler()))
	for method, want := range map[string]string{
		"404": "scope a or preflight", oauthz.AnyMethod: "scope a or preflight", "OPTIONS": "scope a or preflight",
		"GET": "scope a", "PROPFIND": "scope a", "M-SEARCH": "scope a",
	} {
		req, ok := oauthz.Route{Method: method, Guards: requirements}.Combined()
		assert.True(t, ok)
		assert.Equal(t, want, req.String(), method)
	}
	assert.Equal(t, "scope a or preflight", requirements[0].String(), "a Route does not change its Requirements")
}

// Adapters find Guards by a probe, which describes preflights as Protected does.
func TestProbeShowsPreflights(t *testing.T) {
	t.Parallel()
	h := allowing(t, true).Protect(oauthz.Require("a"))(allowing(t, false).Protect(oauthz.Require("b"))(http.NotFoundHandler()))
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		met := probe.Requirements[oauthz.Requirement](httptest.NewRequest(method, "/", nil), 0, func(r *http.Request) { h.ServeHTTP(httptest.NewRecorder(), r) })
		require.Len(t, met, 2)
		assert.Equal(t, "scope a or preflight", met[0].String())
		assert.Equal(t, "scope b", met[1].String())
	}
}
