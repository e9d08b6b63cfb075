package remote

import (
	"errors"
	"strconv"
	"time"
)

// OperationError says which operation of a vendor's API failed, and how. The
// clients in the providers folder return it from all that is no Introspect. It
// never holds what an answer held, a token or a secret.
type OperationError struct {
	// Vendor is whose API it is, by the name of the package: gusto, polar.
	Vendor string
	// Operation is the name in that API, such as introspect or revoke.
	Operation string
	// Status is that of the answer; 0 if there was none, or nothing was sent.
	Status int
	// RetryAfter is how long the vendor asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Err is the cause, where the status is not all of it. It may match
	// [ErrNoCredential] or [oauthz.ErrUnrecognized] (nothing was sent),
	// [oauthz.ErrInvalidToken] (the token is dead), [oauthz.ErrUnavailable] (try
	// again later), [ErrNotRecorded] (it is about the list here, not the vendor), or
	// what ended the context.
	Err error
}

// ErrNoCredential: the operation needs a credential that was not given. Nothing
// was sent.
var ErrNoCredential = errors.New("remote: no credential")

// Error names the vendor, the operation, the status and the cause.
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
