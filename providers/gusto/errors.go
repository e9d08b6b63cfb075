package gusto

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// OperationError says which operation failed, and how. It never holds what an
// answer held, a token or a secret.
type OperationError struct {
	// Operation is the name in Gusto's API: token_info, revoke,
	// refresh_access_token or disconnect_app_integration.
	Operation string
	// Status is that of the answer; 0 if there was none, or nothing was sent.
	Status int
	// RetryAfter is how long Gusto asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// RateLimit is what the answer said of the limit.
	RateLimit RateLimit
	// Err is the cause, where the status is not all of it. It may match
	// ErrNoCredential or oauthz.ErrUnrecognized (nothing was sent),
	// oauthz.ErrInvalidToken (the token is dead), oauthz.ErrUnavailable (try again
	// later), or what ended the context.
	Err error
}

// ErrNoCredential: the operation needs a credential that was not given. Nothing
// was sent.
var ErrNoCredential = errors.New("gusto: no credential")

// Error names the operation, the status and the cause.
func (e *OperationError) Error() string {
	text := "gusto: " + e.Operation
	if e.Status != 0 {
		text += ": status " + strconv.Itoa(e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *OperationError) Unwrap() error { return e.Err }

// RateLimit is what Gusto says of the limit of calls for the token that was
// sent: 200 in 60 seconds, for each application and user. It is zero where the
// answer says nothing.
type RateLimit struct {
	Limit, Remaining int
	Reset            time.Time
}

// resetLayout is Gusto's own: 2025-07-08 15:35:40 -0700.
const resetLayout = "2006-01-02 15:04:05 -0700"

func readRateLimit(h http.Header) RateLimit {
	var limit RateLimit
	limit.Limit = readCount(h.Get("X-RateLimit-Limit"))
	limit.Remaining = readCount(h.Get("X-RateLimit-Remaining"))
	if reset, err := time.Parse(resetLayout, h.Get("X-RateLimit-Reset")); err == nil {
		limit.Reset = reset
	}
	return limit
}

func readCount(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// readRetryAfter reads Retry-After (RFC 9110 §10.2.3): seconds, or a date.
func readRetryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

func noCredential(operation, what string) error {
	return &OperationError{Operation: operation, Err: fmt.Errorf("%w: %s", ErrNoCredential, what)}
}
