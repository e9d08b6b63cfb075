package vendortest

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

// Verdict names the answer of an Introspector: token, refusal, unrecognized or fault;
// "?" is an answer that an Introspector must not give.
func Verdict(token *oauthz.Token, err error) string {
	var e *oauthz.Error
	switch {
	case (token == nil) == (err == nil):
		return "?"
	case err == nil:
		return "token"
	case errors.Is(err, oauthz.ErrUnrecognized):
		return "unrecognized"
	case errors.Is(err, oauthz.ErrInvalidToken):
		return "refusal"
	case errors.As(err, &e) && e.Status == http.StatusServiceUnavailable && errors.Is(err, oauthz.ErrUnavailable):
		return "fault"
	default:
		return "?"
	}
}

// WantOperationError checks that err is the error of an operation of vendor with that
// status, which is 0 without an answer.
func WantOperationError(t testing.TB, err error, vendor, operation string, status int) *providers.OperationError {
	t.Helper()
	var failed *providers.OperationError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, vendor, failed.Vendor)
	assert.Equal(t, operation, failed.Operation)
	assert.Equal(t, status, failed.Status)
	text := vendor + ": " + operation + ": "
	if status != 0 {
		text = fmt.Sprintf("%s: %s: status %d", vendor, operation, status)
	}
	assert.Regexp(t, "^"+text, err.Error())
	if status == http.StatusTooManyRequests || status >= 500 {
		assert.ErrorIs(t, err, oauthz.ErrUnavailable)
	}
	return failed
}

// WantMistakes checks that err joins the mistakes of a Config, one for each of want,
// in that order, which each mistake contains.
func WantMistakes(t testing.TB, err error, vendor string, want ...string) {
	t.Helper()
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	require.Len(t, joined.Unwrap(), len(want), "%v", err)
	for i := range want {
		assert.Contains(t, joined.Unwrap()[i].Error(), vendor+": config: "+want[i])
	}
	AssertSilent(t, err)
}

// canary is part of every secret of the tests that is not checked by name.
const canary = "canary"

// AssertSilent checks that package fmt shows neither "canary" nor one of secrets for
// v, nor for an error that v wraps.
func AssertSilent(t testing.TB, v any, secrets ...string) {
	t.Helper()
	for _, secret := range append(secrets, canary) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, secret, verb)
			assert.NotContains(t, text, fmt.Sprintf("%x", secret), verb)
		}
		if err, ok := v.(error); ok {
			for _, part := range unwrapped(err) {
				assert.NotContains(t, part.Error(), secret)
			}
		}
	}
}

// unwrapped returns err and every error that it wraps.
func unwrapped(err error) []error {
	if err == nil {
		return nil
	}
	parts := []error{err}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		parts = append(parts, unwrapped(err.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			parts = append(parts, unwrapped(e)...)
		}
	}
	return parts
}
