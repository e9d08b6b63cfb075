package oauthz

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The causes of refusals and faults, for [errors.Is]. An [Error] wraps one of them.
var (
	// ErrNoToken is returned if the request has no Bearer credentials (RFC 6750
	// §2.1). It is answered with 401 and a challenge without an error code (§3.1).
	ErrNoToken = errors.New("oauthz: no token")
	// ErrInvalidRequest is returned if the credentials are malformed or repeated, or
	// sent in two ways at once (RFC 6750 §2, §3.1). It is answered with 400.
	ErrInvalidRequest = errors.New("oauthz: invalid request")
	// ErrInvalidToken is returned if the token must not be accepted (RFC 6750 §3.1).
	// It is answered with 401. ErrExpired, ErrRevoked and ErrInactive match it too.
	ErrInvalidToken = errors.New("oauthz: invalid token")
	// ErrExpired is returned if the token was valid and has expired (RFC 7519 §4.1.4,
	// RFC 6750 §3.1).
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalidToken)
	// ErrRevoked is returned if a [RevocationList] holds the token (RFC 6750 §3.1).
	ErrRevoked = fmt.Errorf("%w: revoked", ErrInvalidToken)
	// ErrInactive is returned if the authorization server answers that the token is
	// not active (RFC 7662 §2.2).
	ErrInactive = fmt.Errorf("%w: inactive", ErrInvalidToken)
	// ErrInsufficientScope is returned if the token is valid and does not meet the
	// requirement of the route (RFC 6750 §3.1). It is answered with 403.
	ErrInsufficientScope = errors.New("oauthz: insufficient scope")
	// ErrInsufficientAuthentication is returned if the login behind the token is too
	// weak or too old for the route (RFC 9470 §3). It is answered with 401.
	ErrInsufficientAuthentication = errors.New("oauthz: insufficient user authentication")
	// ErrUnrecognized is returned by an [Introspector] for a string that is not of the
	// kind of tokens that it validates. [FirstOf] then calls the next one. A Guard
	// answers it like ErrInvalidToken.
	ErrUnrecognized = errors.New("oauthz: token not recognized")
	// ErrUnavailable is returned if it cannot be decided now whether the token is
	// valid. It is answered with 503 and Retry-After (RFC 9110 §15.6.4, §10.2.3).
	ErrUnavailable = errors.New("oauthz: unavailable")
)

// The error codes in challenges and bodies: those of RFC 6750 §3.1 and RFC 9470 §3,
// and for faults those of RFC 6749 §4.1.2.1.
const (
	codeInvalidRequest             = "invalid_request"
	codeInvalidToken               = "invalid_token"
	codeInsufficientScope          = "insufficient_scope"
	codeInsufficientAuthentication = "insufficient_user_authentication"
	codeTemporarilyUnavailable     = "temporarily_unavailable"
	codeServerError                = "server_error"
)

// Error is a refusal: the answer to the client, and, separate from it, the cause.
//
// An [Introspector] or a [Confirmer] may return an *Error to choose the answer. An
// Error with a Status that is not one of the five is answered with 500. Each request
// has its own copy, which the hooks of the Guard may change; only Err is shared.
type Error struct {
	// Status is the status of the response: 400, 401, 403 (RFC 6750 §3.1), 500 or 503.
	Status int
	// Code and Description are sent to the client, as error and error_description
	// (RFC 6750 §3). They are fixed strings, never built from a token or from the
	// answer of another server. Without a Code the challenge has no error attribute
	// and the body is {}.
	Code, Description string
	// Scopes are the scope attribute of the challenge (RFC 6750 §3).
	Scopes []string
	// ACRValues and MaxAge are the attributes acr_values and max_age of the challenge
	// (RFC 9470 §3). MaxAge is sent in whole seconds.
	ACRValues []string
	MaxAge    *time.Duration
	// RetryAfter is how long the client should wait before it repeats the request,
	// with status 503 (RFC 9110 §10.2.3). It is sent in whole seconds, rounded up, and
	// at most 1 hour. Default 5 s.
	RetryAfter time.Duration
	// Header holds additional headers of the response, such as DPoP-Nonce (RFC 9449
	// §9).
	Header http.Header
	// Err is the cause. [Config.Observe] receives it. It is never sent to the client.
	Err error
}

// Error returns the code and the cause. A nil Error, which is the Err of a
// [Decision] that lets the request through, returns "<nil>", so that a log shows no
// error where there is none.
func (e *Error) Error() string {
	if e == nil {
		return "<nil>"
	}
	code := e.Code
	if code == "" {
		code = http.StatusText(e.Status)
	}
	if e.Err == nil {
		return "oauthz: " + code
	}
	return "oauthz: " + code + ": " + e.Err.Error()
}

// Unwrap returns the cause. Like Error it accepts a nil Error, which a hook may
// return by mistake.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// tokenError returns the answer for err, which an Introspector or a Confirmer
// returned: a refusal if err is or wraps one, and otherwise a fault.
func tokenError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return answerable(e)
	case errors.Is(err, ErrExpired):
		return &Error{Status: http.StatusUnauthorized, Code: codeInvalidToken, Description: "The access token expired", Err: err}
	case errors.Is(err, ErrInvalidToken), errors.Is(err, ErrUnrecognized):
		// One text for every reason, so that an attacker learns nothing from it.
		return &Error{Status: http.StatusUnauthorized, Code: codeInvalidToken, Description: "The access token is not valid", Err: err}
	default:
		return unavailable(err)
	}
}

// toError returns the answer for any err: as tokenError does, and also for the
// errors that are about the request and not about a token.
func toError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return answerable(e)
	case errors.Is(err, ErrNoToken):
		return &Error{Status: http.StatusUnauthorized, Err: err}
	case errors.Is(err, ErrInvalidRequest):
		return &Error{
			Status: http.StatusBadRequest, Code: codeInvalidRequest,
			Description: "The credentials are malformed, or sent more than once", Err: err,
		}
	default:
		return tokenError(err)
	}
}

// answerable returns a copy of e if its status is allowed, and a server error
// otherwise. It copies e because an introspector may return the same Error to many
// requests, and the hooks of each may change theirs.
func answerable(e *Error) *Error {
	if e == nil {
		return serverError(errors.New("oauthz: a hook returned a nil *Error"))
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusInternalServerError, http.StatusServiceUnavailable:
		return e.clone()
	default:
		return serverError(fmt.Errorf("oauthz: a hook returned an Error with status %d: %w", e.Status, e))
	}
}

// clone returns a copy that shares only the cause.
func (e *Error) clone() *Error {
	out := *e
	out.Scopes, out.ACRValues, out.Header = slices.Clone(e.Scopes), slices.Clone(e.ACRValues), e.Header.Clone()
	if e.MaxAge != nil {
		age := *e.MaxAge
		out.MaxAge = &age
	}
	return &out
}

// Unavailable returns the refusal for a fault: status 503 and code
// temporarily_unavailable (RFC 6749 §4.1.2.1), with Retry-After (RFC 9110 §10.2.3). It
// is for an [Introspector], a [Confirmer] or a handler that cannot reach a server it
// needs. A retryAfter of zero means the default: see [Error.RetryAfter]. The result
// wraps [ErrUnavailable], and err if it is not nil.
func Unavailable(retryAfter time.Duration, err error) *Error {
	switch {
	case err == nil:
		err = ErrUnavailable
	case !errors.Is(err, ErrUnavailable):
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &Error{
		Status: http.StatusServiceUnavailable, Code: codeTemporarilyUnavailable, RetryAfter: retryAfter, Err: err,
	}
}

// unavailable returns the answer to a fault. It is a 503 even if err wraps a refusal,
// because the state of the token is unknown. It keeps the RetryAfter of an Error that
// err wraps.
func unavailable(err error) *Error {
	var retryAfter time.Duration
	var e *Error
	if errors.As(err, &e) && e != nil {
		retryAfter = e.RetryAfter
	}
	return Unavailable(retryAfter, err)
}

// serverError returns the answer to a mistake of this package or of a hook.
func serverError(err error) *Error {
	return &Error{Status: http.StatusInternalServerError, Code: codeServerError, Err: err}
}

// panicError returns a server error for the value of a recovered panic. It leaves
// the value out unless the Go runtime made it, because the value might hold a token.
func panicError(where string, value any) *Error {
	what := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		what = err.Error()
	}
	return serverError(fmt.Errorf("oauthz: panic in the %s: %s%s", where, what, panicSite()))
}

// panicSite returns the function and line that panicked, for the operator.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for panicking := false; ; {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime {
			return fmt.Sprintf(" at %s:%d", frame.Function, frame.Line)
		}
		panicking = panicking || inRuntime
		if !more {
			return ""
		}
	}
}
