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

// What went wrong, for [errors.Is]. An [Error] wraps one of them.
var (
	// ErrNoToken: the request carries no credentials of a scheme that the Guard takes.
	ErrNoToken = errors.New("oauthz: no token")
	// ErrInvalidRequest: the credentials are malformed, repeated, or sent in two ways at once.
	ErrInvalidRequest = errors.New("oauthz: invalid request")
	// ErrInvalidToken: the token must not be accepted. ErrExpired, ErrRevoked
	// and ErrInactive match it too.
	ErrInvalidToken = errors.New("oauthz: invalid token")
	// ErrExpired: the token was good, and its time is over.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalidToken)
	// ErrRevoked: a [RevocationList] holds the token.
	ErrRevoked = fmt.Errorf("%w: revoked", ErrInvalidToken)
	// ErrInactive: the authorization server says that the token is not active (RFC 7662 §2.2).
	ErrInactive = fmt.Errorf("%w: inactive", ErrInvalidToken)
	// ErrInsufficientScope: the token is good, and does not grant what the route requires.
	ErrInsufficientScope = errors.New("oauthz: insufficient scope")
	// ErrInsufficientAuthentication: the login behind the token is too weak or too old (RFC 9470).
	ErrInsufficientAuthentication = errors.New("oauthz: insufficient user authentication")
	// ErrUnrecognized: the string is not of the kind that this [Introspector] judges.
	ErrUnrecognized = errors.New("oauthz: token not recognized")
	// ErrUnavailable: nobody can tell, now, whether the token is good.
	ErrUnavailable = errors.New("oauthz: unavailable")
)

// The error codes that clients see: RFC 6750 §3.1, RFC 9470 §3, and for faults
// those of RFC 6749 §4.1.2.1.
const (
	codeInvalidRequest             = "invalid_request"
	codeInvalidToken               = "invalid_token"
	codeInsufficientScope          = "insufficient_scope"
	codeInsufficientAuthentication = "insufficient_user_authentication"
	codeTemporarilyUnavailable     = "temporarily_unavailable"
	codeServerError                = "server_error"
)

// Error is a refusal: what the client is told, and, apart from that, why.
//
// An [Introspector] or a [Confirmer] may return one to say exactly how to
// answer. One whose Status is none of the five is answered as 500. Each request
// has a copy of its own, which its hooks may change; only Err is shared.
type Error struct {
	// Status is 400, 401, 403, 500 or 503.
	Status int
	// Code and Description are sent to the client (RFC 6750 §3): fixed strings,
	// never built from a token or from what an upstream said. Without a Code
	// the challenge has no error attribute and the body is {}.
	Code, Description string
	// Scopes is the scope attribute of the challenge (RFC 6750 §3).
	Scopes []string
	// ACRValues and MaxAge are those of RFC 9470 §3.
	ACRValues []string
	MaxAge    *time.Duration
	// RetryAfter is how long to wait before asking again, on a 503. Zero: 5 s.
	RetryAfter time.Duration
	// Header holds more headers for the response, such as DPoP-Nonce.
	Header http.Header
	// Err is the cause. [Config.Observe] sees it, the client never.
	Err error
}

// Error returns the code and the cause. Of a nil Error, which is the Err of a
// [Decision] to let a request through, it returns "<nil>", so that a log shows no
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

// Unwrap returns the cause. Like Error it bears a nil Error, which a hook may
// return by mistake.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// refusal is how the client is told of err, which an Introspector or a
// Confirmer returned: a refusal if it says so, and otherwise a fault.
func refusal(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return validated(e)
	case errors.Is(err, ErrExpired):
		return &Error{Status: http.StatusUnauthorized, Code: codeInvalidToken, Description: "The access token expired", Err: err}
	case errors.Is(err, ErrInvalidToken), errors.Is(err, ErrUnrecognized):
		// One text for every reason, so that it tells an attacker nothing.
		return &Error{Status: http.StatusUnauthorized, Code: codeInvalidToken, Description: "The access token is not valid", Err: err}
	default:
		return unavailable(err)
	}
}

// told is how the client is told of err, whoever found it: refusal, and what can
// only be said of the request.
func told(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return validated(e)
	case errors.Is(err, ErrNoToken):
		return &Error{Status: http.StatusUnauthorized, Err: err}
	case errors.Is(err, ErrInvalidRequest):
		return &Error{
			Status: http.StatusBadRequest, Code: codeInvalidRequest,
			Description: "The credentials are malformed, or sent more than once", Err: err,
		}
	default:
		return refusal(err)
	}
}

// validated returns a copy of e if it can be answered, and a server error
// otherwise. A copy: one answer of an introspector may be that of many requests,
// and hooks may change theirs.
func validated(e *Error) *Error {
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

// clone returns a copy that shares nothing but the cause.
func (e *Error) clone() *Error {
	out := *e
	out.Scopes, out.ACRValues, out.Header = slices.Clone(e.Scopes), slices.Clone(e.ACRValues), e.Header.Clone()
	if e.MaxAge != nil {
		age := *e.MaxAge
		out.MaxAge = &age
	}
	return &out
}

// unavailable is a fault: whatever err wraps, nothing is known of the token.
func unavailable(err error) *Error {
	out := &Error{Status: http.StatusServiceUnavailable, Code: codeTemporarilyUnavailable, Err: err}
	var e *Error
	if errors.As(err, &e) && e != nil {
		out.RetryAfter = e.RetryAfter
	}
	if !errors.Is(err, ErrUnavailable) {
		out.Err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return out
}

// serverError is our own mistake, or that of a hook.
func serverError(err error) *Error {
	return &Error{Status: http.StatusInternalServerError, Code: codeServerError, Err: err}
}

// panicked turns the value of a recovered panic into a server error. The value
// itself is left out, unless the runtime made it: it might hold a token.
func panicked(where string, value any) *Error {
	what := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		what = err.Error()
	}
	return serverError(fmt.Errorf("oauthz: panic in the %s: %s%s", where, what, panicSite()))
}

// panicSite names the function and line that panicked, for whoever must mend it.
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
