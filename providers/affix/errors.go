package affix

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// OperationError says which operation failed, and how. It never holds what an
// answer held, or a token.
type OperationError struct {
	// Operation is the name in the API of Affix: introspect.
	Operation string
	// Status is that of the answer; 0 if there was none, or nothing was sent.
	Status int
	// RetryAfter is how long Affix asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Err is the cause, where the status is not all of it. It may match
	// ErrNoCredential or oauthz.ErrUnrecognized (nothing was sent),
	// oauthz.ErrInvalidToken (the token is dead), oauthz.ErrUnavailable (try again
	// later), or what ended the context.
	Err error
}

// ErrNoCredential: the operation needs a token, and was given none. Nothing was
// sent.
var ErrNoCredential = errors.New("affix: no credential")

// Error names the operation, the status and the cause.
func (e *OperationError) Error() string {
	text := "affix: " + e.Operation
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
