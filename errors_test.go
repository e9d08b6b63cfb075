package oauthz_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	down := errors.New("upstream: down")
	for _, tt := range []struct {
		name string
		err  error
		text string
	}{
		{name: "without a cause", text: "oauthz: unavailable"},
		{name: "with a cause", err: down, text: "oauthz: unavailable: upstream: down"},
		{name: "with a cause that wraps ErrUnavailable", err: oauthz.Unavailable(0, down), text: "oauthz: temporarily_unavailable: oauthz: unavailable: upstream: down"},
		{name: "a refusal as the cause", err: oauthz.ErrRevoked, text: "oauthz: unavailable: oauthz: invalid token: revoked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := oauthz.Unavailable(time.Minute, tt.err)
			assert.Equal(t, 503, got.Status)
			assert.Equal(t, "temporarily_unavailable", got.Code)
			assert.Empty(t, got.Description)
			assert.Equal(t, time.Minute, got.RetryAfter)
			assert.EqualError(t, got.Err, tt.text)
			assert.ErrorIs(t, got, oauthz.ErrUnavailable)
			if tt.err != nil {
				assert.ErrorIs(t, got, tt.err)
			}
		})
	}
}

// A Guard answers a fault as a fault, even if its cause is a refusal.
func TestUnavailableIsAnswered(t *testing.T) {
	t.Parallel()
	for retryAfter, want := range map[time.Duration]string{0: "5", 90 * time.Second: "90"} {
		in := answers(nil, oauthz.Unavailable(retryAfter, oauthz.ErrRevoked))
		got := serve(t, newGuard(t, oauthz.Config{Introspector: in}), oauthz.Require(), withGoodToken())
		assert.Equal(t, 503, got.status)
		assert.Equal(t, want, got.header.Get("Retry-After"))
		assert.JSONEq(t, `{"error":"temporarily_unavailable"}`, got.body)
	}
}
