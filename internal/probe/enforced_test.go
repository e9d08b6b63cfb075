package probe_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// allow reports whether guard lets r through.
func allow(guard *oauthz.Guard, r *http.Request, req oauthz.Requirement) bool {
	_, err := guard.Authorize(r, req)
	return err == nil
}

// Parts of the errors of Enforced.
const notEnforced, answers, depends = "continues although the Guard refuses", "answers the request itself", "depending on the request"

// enforcedTests are middlewares. goesOn reports whether the end is reached.
var enforcedTests = []struct {
	name   string
	goesOn func(r *http.Request, guard, other *oauthz.Guard) bool
	want   string
}{
	{name: "no Guard", goesOn: func(*http.Request, *oauthz.Guard, *oauthz.Guard) bool { return true }},
	{name: "no Guard, and no way through", goesOn: func(*http.Request, *oauthz.Guard, *oauthz.Guard) bool { return false }},
	{name: "one", goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool { return allow(guard, r, scopeA) }},
	{name: "three", goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) && allow(other, r, scopeB) && allow(guard, r, admin)
	}},
	{name: "all are called", goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		a, b := allow(guard, r, scopeA), allow(other, r, scopeB)
		return a && b
	}},
	{name: "ignored", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool { return allow(guard, r, scopeA) || true }},
	{name: "the last is ignored", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) && allow(other, r, scopeB) && (allow(guard, r, admin) || true)
	}},
	{name: "the first is ignored", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		_ = allow(guard, r, scopeA)
		return allow(other, r, scopeB)
	}},
	{name: "one of two", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) || allow(other, r, scopeB)
	}},
	{name: "two of three", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		n := 0
		for _, req := range []oauthz.Requirement{scopeA, scopeB, admin} {
			if allow(guard, r, req) {
				n++
			}
		}
		return n >= 2
	}},
	{name: "all or none", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		n := 0
		for _, req := range []oauthz.Requirement{scopeA, scopeB, admin} {
			if allow(guard, r, req) {
				n++
			}
		}
		return n == 0 || n == 3
	}},
	{name: "another is called instead, and must refuse", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) || !allow(other, r, scopeB)
	}},
	{name: "many", goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		ok := true
		for range 20 {
			ok = allow(guard, r, scopeA) && ok
		}
		return ok
	}},
	{name: "many, and the last is ignored", want: notEnforced, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		ok := true
		for range 20 {
			ok = allow(guard, r, scopeA) && ok
		}
		return (allow(guard, r, scopeB) || true) && ok
	}},
	{name: "answered", want: answers, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) && r.Header.Get("X-Tenant") != ""
	}},
	{name: "a cookie", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return len(r.Cookies()) > 0 || allow(guard, r, scopeA)
	}},
	{name: "basic authentication", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		_, _, ok := r.BasicAuth()
		return ok || allow(guard, r, scopeA)
	}},
	{name: "the address", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return r.RemoteAddr == "127.0.0.1:49152" || allow(guard, r, scopeA)
	}},
	{name: "the query", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return r.URL.Query().Has("api_key") || allow(guard, r, scopeA)
	}},
	{name: "a client certificate", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return r.TLS != nil && len(r.TLS.PeerCertificates) > 0 || allow(guard, r, scopeA)
	}},
	{name: "a role", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		if r.Header.Get("X-Role") != "" {
			return allow(other, r, scopeB)
		}
		return allow(guard, r, scopeA)
	}},
	{name: "a WebSocket", want: depends, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return r.Header.Get("Upgrade") == "websocket" || allow(guard, r, scopeA)
	}},
}

func TestEnforced(t *testing.T) {
	t.Parallel()
	guard, other := newGuard(t), newGuard(t)
	for _, tt := range enforcedTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := probe.Enforced[oauthz.Requirement](get(), func(r *http.Request) bool { return tt.goesOn(r, guard, other) })
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// Each run has a request of its own, and the request of the caller does not change.
func TestEnforcedDoesNotChangeTheRequest(t *testing.T) {
	t.Parallel()
	guard, r := newGuard(t), get()
	require.NoError(t, probe.Enforced[oauthz.Requirement](r, func(r *http.Request) bool {
		assert.Empty(t, r.Header.Get("X-Seen"))
		r.Header.Set("X-Seen", "yes")
		r.URL.Path = "/elsewhere"
		return allow(guard, r, scopeA)
	}))
	assert.Empty(t, r.Header)
	assert.NotEqual(t, "/elsewhere", r.URL.Path)
	refusing, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
		return nil, oauthz.ErrInvalidToken
	})})
	require.NoError(t, err)
	_, err = refusing.Authorize(r, scopeA)
	assert.ErrorIs(t, err, oauthz.ErrNoToken)
}
