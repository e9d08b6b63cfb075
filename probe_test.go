package oauthz_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/probe"
)

// unhooked returns a configuration all of whose hooks fail the test.
func unhooked(t *testing.T) oauthz.Config {
	return oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			t.Error("the introspector was called")
			return nil, oauthz.ErrInvalidToken
		}),
		Observe: func(context.Context, oauthz.Decision) { t.Error("a decision was reported") },
	}
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

// In a probe a Guard examines neither the credentials nor the grant of an outer Guard.
func TestProbeIgnoresCredentialsAndGrants(t *testing.T) {
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

// The Guard at which a probe stops refuses as unavailable, with an error that has no other reason.
func TestProbeStopsWithARefusal(t *testing.T) {
	t.Parallel()
	guard, refused := newGuard(t, oauthz.Config{}), error(nil)
	probe.Requirements[oauthz.Requirement](get(), 1, func(r *http.Request) { _, refused = guard.Authorize(r, oauthz.Public()) })
	var e *oauthz.Error
	require.ErrorAs(t, refused, &e)
	assert.Equal(t, http.StatusServiceUnavailable, e.Status)
	require.ErrorIs(t, refused, oauthz.ErrUnavailable)
	assert.NotErrorIs(t, refused, oauthz.ErrInvalidToken)
}

// The request of a probe differs from the request of the caller only in its context, which has the values of the caller's.
func TestProbeKeepsTheRequest(t *testing.T) {
	t.Parallel()
	type key struct{}
	r := withGoodToken().WithContext(context.WithValue(t.Context(), key{}, "kept"))
	probe.Requirements[oauthz.Requirement](r, 0, func(got *http.Request) {
		assert.Equal(t, r.URL, got.URL)
		assert.Equal(t, "kept", got.Context().Value(key{}))
		_, found := oauthz.TokenFrom(got.Context())
		assert.False(t, found)
	})
	_, err := newGuard(t, oauthz.Config{}).Authorize(r, scopeA)
	require.ErrorIs(t, err, oauthz.ErrInsufficientScope, "the caller's own request is not a probe")
}

// A middleware may obey some refusals and not others, so each refusal of a Guard is tried.
func TestProbeTriesEachRefusal(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, unhooked(t))
	for _, cause := range []error{
		oauthz.ErrNoToken, oauthz.ErrInvalidRequest, oauthz.ErrInvalidToken, oauthz.ErrExpired,
		oauthz.ErrInsufficientScope, oauthz.ErrInsufficientAuthentication, oauthz.ErrUnavailable,
	} {
		assert.Error(t, probe.Enforced[oauthz.Requirement](get(), func(r *http.Request) bool {
			_, err := guard.Authorize(r, scopeA)
			return err == nil || errors.Is(err, cause)
		}), cause)
	}
	for _, status := range []int{400, 401, 403, 500, 503} {
		assert.Error(t, probe.Enforced[oauthz.Requirement](get(), func(r *http.Request) bool {
			w := httptest.NewRecorder()
			guard.Protect(scopeA)(&spy{}).ServeHTTP(w, r)
			return w.Code == 200 || w.Code == status
		}), status)
	}
}
