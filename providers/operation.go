package providers

import (
	"errors"
	"strconv"
	"time"
)

// OperationError is the error of every operation of a vendor's client except
// Introspect. It never holds a token, a secret, or any part of an answer.
type OperationError struct {
	// Vendor is the package name of the client: gusto, polar.
	Vendor string
	// Operation is the name in the vendor's API, such as introspect or revoke.
	Operation string
	// Status is the status of the answer; without an answer, or if nothing was sent, it
	// is 0.
	Status int
	// RetryAfter is how long the vendor wants the client to wait (RFC 9110
	// §10.2.3); 0 if the answer has no Retry-After that can be read.
	RetryAfter time.Duration
	// Err is the cause, if Status alone does not describe it. It may match
	// [ErrNoCredential] or [oauthz.ErrUnrecognized] (nothing was sent),
	// [oauthz.ErrInvalidToken] (the vendor rejected the token),
	// [oauthz.ErrUnavailable] (the caller may try again later), [ErrNotRecorded]
	// (the list of revocations failed, not the vendor), or the error of the context
	// that ended.
	Err error
}

// ErrNoCredential is returned when an operation needs a credential that the caller
// or the Config did not supply. Nothing was sent. The [OperationError] around it
// names the vendor.
var ErrNoCredential = errors.New("no credential")

// Error returns the vendor, the operation, the status and the cause.
func (e *OperationError) Error() string {
	text := e.Vendor + ": " + e.Operation
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
