package oauthz_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// allow reports whether guard lets r through.
func allow(guard *oauthz.Guard, r *http.Request, req oauthz.Requirement) bool {
	_, err := guard.Authorize(r, req)
	return err == nil
}

// Parts of the errors of ProbeHeeded.
const unheeded, blocked, depends = "goes on when that refuses", "answers by itself", "depends on the request"

// heededTests are middlewares: goesOn reports whether the end is reached.
var heededTests = []struct {
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
	{name: "all are asked", goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		a, b := allow(guard, r, scopeA), allow(other, r, scopeB)
		return a && b
	}},
	{name: "ignored", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool { return allow(guard, r, scopeA) || true }},
	{name: "the last is ignored", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) && allow(other, r, scopeB) && (allow(guard, r, admin) || true)
	}},
	{name: "the first is ignored", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		_ = allow(guard, r, scopeA)
		return allow(other, r, scopeB)
	}},
	{name: "one of two", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) || allow(other, r, scopeB)
	}},
	{name: "two of three", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		n := 0
		for _, req := range []oauthz.Requirement{scopeA, scopeB, admin} {
			if allow(guard, r, req) {
				n++
			}
		}
		return n >= 2
	}},
	{name: "all or none", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		n := 0
		for _, req := range []oauthz.Requirement{scopeA, scopeB, admin} {
			if allow(guard, r, req) {
				n++
			}
		}
		return n == 0 || n == 3
	}},
	{name: "another is asked instead, and must refuse", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		return allow(guard, r, scopeA) || !allow(other, r, scopeB)
	}},
	{name: "many", goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		ok := true
		for range 20 {
			ok = allow(guard, r, scopeA) && ok
		}
		return ok
	}},
	{name: "many, and the last is ignored", want: unheeded, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
		ok := true
		for range 20 {
			ok = allow(guard, r, scopeA) && ok
		}
		return (allow(guard, r, scopeB) || true) && ok
	}},
	{name: "blocked", want: blocked, goesOn: func(r *http.Request, guard, other *oauthz.Guard) bool {
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

func TestProbeHeeded(t *testing.T) {
	t.Parallel()
	guard, other := newGuard(t, unhooked(t)), newGuard(t, unhooked(t))
	for _, tt := range heededTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := oauthz.ProbeHeeded(get(), func(r *http.Request) bool { return tt.goesOn(r, guard, other) })
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// A middleware may heed some refusals and not others: each that a Guard has is tried.
func TestProbeHeededTriesEachRefusal(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, unhooked(t))
	for _, cause := range []error{
		oauthz.ErrNoToken, oauthz.ErrInvalidRequest, oauthz.ErrInvalidToken, oauthz.ErrExpired,
		oauthz.ErrInsufficientScope, oauthz.ErrInsufficientAuthentication, oauthz.ErrUnavailable,
	} {
		assert.Error(t, oauthz.ProbeHeeded(get(), func(r *http.Request) bool {
			_, err := guard.Authorize(r, scopeA)
			return err == nil || errors.Is(err, cause)
		}), cause)
	}
	for _, status := range []int{400, 401, 403, 500, 503} {
		assert.Error(t, oauthz.ProbeHeeded(get(), func(r *http.Request) bool {
			w := httptest.NewRecorder()
			guard.Protect(scopeA)(&spy{}).ServeHTTP(w, r)
			return w.Code == 200 || w.Code == status
		}), status)
	}
}

// Each run has a request of its own, and the caller's stays as it was.
func TestProbeHeededKeepsTheRequest(t *testing.T) {
	t.Parallel()
	guard, r := newGuard(t, unhooked(t)), get()
	require.NoError(t, oauthz.ProbeHeeded(r, func(r *http.Request) bool {
		assert.Empty(t, r.Header.Get("X-Seen"))
		r.Header.Set("X-Seen", "yes")
		r.URL.Path = "/elsewhere"
		return allow(guard, r, scopeA)
	}))
	assert.Empty(t, r.Header)
	assert.NotEqual(t, "/elsewhere", r.URL.Path)
	assert.ErrorIs(t, func() error { _, err := newGuard(t, oauthz.Config{}).Authorize(r, scopeA); return err }(), oauthz.ErrNoToken)
}
