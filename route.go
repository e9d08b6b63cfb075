package oauthz

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/oauthz/oauthz/internal/probe"
)

// AnyMethod is the [Route.Method] of a route that answers to every method.
const AnyMethod = "*"

// Route is a route of a program, with the requirements of the Guards before its
// handler: one line of a table that has a line for every route. The adapters for
// frameworks return the routes of a router, and package oauthztest those of an
// [http.ServeMux].
type Route struct {
	// Method is the method of the requests, or AnyMethod.
	Method string
	// Pattern is written as the router writes it: /orders/{id}, /orders/:id.
	Pattern string
	// Guards are the requirements of the Guards, the outermost first. The slice is
	// empty if no Guard stands before the handler. The requirement of a Guard with
	// Config.AllowPreflight is described as "… or preflight", for every Method.
	Guards []Requirement
	// Err is the reason why Guards may be incomplete, or nil.
	Err error
}

// Combined returns all that a request must meet to reach the handler. If no
// Guard stands before the handler, ok is false and req is [Public]:
// the route is open, but not declared as open.
//
// Preflights have the method OPTIONS (Fetch §3.2.2). So req of a route for another
// method does not mention that preflights are let through. A program that needs the
// requirement of one method of a route for AnyMethod sets Method
// in a copy.
func (r Route) Combined() (req Requirement, ok bool) {
	requirements := r.Guards
	if !r.answersOptions() {
		requirements = make([]Requirement, len(r.Guards))
		for i, req := range r.Guards {
			req.preflight = false
			requirements[i] = req
		}
	}
	switch len(requirements) {
	case 0:
		return Public(), false // All of nothing would be any valid token
	case 1:
		return requirements[0], true
	default:
		return All(requirements...), true
	}
}

// answersOptions reports whether requests with the method OPTIONS can reach the
// route. AnyMethod has no letters. Neither has "404", the method that an adapter
// gives to the route of all requests that no other route answers.
func (r Route) answersOptions() bool {
	return r.Method == http.MethodOptions || !strings.ContainsFunc(r.Method, unicode.IsLetter)
}

// required returns req as a table of routes describes it. With AllowPreflight a
// preflight reaches the handler without meeting req, even if it carries a bad
// token, which a Requirement with OrAnonymous refuses.
func (g *Guard) required(req Requirement) Requirement {
	req.preflight = g.allowPreflight && !req.isPublic()
	return req
}

// Protected returns the requirements of h, if [Guard.Protect] returned it, and the
// handler that it protects: the first one that Protect did not return. For any
// other h it returns no requirements and h itself. It runs no handler.
func Protected(h http.Handler) (requirements []Requirement, inner http.Handler) {
	for {
		p, ok := h.(*protected)
		if !ok {
			return requirements, h
		}
		requirements, h = append(requirements, p.guard.required(p.req)), p.next
	}
}

var errProbe = errors.New("oauthz: the request is a probe")

// answerProbe answers a probe for a Guard that requires req.
func answerProbe(p *probe.Context[Requirement], r *http.Request, req Requirement) (*http.Request, error) {
	if e := probeRefusal(p.Meet(req)); e != nil { // a nil *Error is not a nil error
		return nil, e
	}
	return r, nil
}

// probeRefusal returns the Error that a Guard has for a kind of refusal, or nil for
// probe.None.
func probeRefusal(kind probe.Refusal) *Error {
	because := func(err error) error { return fmt.Errorf("%w: %w", err, errProbe) }
	switch kind {
	case probe.None:
		return nil
	case probe.NoToken:
		return toError(because(ErrNoToken))
	case probe.InvalidToken:
		return toError(because(ErrInvalidToken))
	case probe.Expired:
		return toError(because(ErrExpired))
	case probe.InvalidRequest:
		return toError(because(ErrInvalidRequest))
	case probe.InsufficientScope:
		return &Error{Status: http.StatusForbidden, Code: codeInsufficientScope, Err: because(ErrInsufficientScope)}
	case probe.InsufficientAuthentication:
		return &Error{Status: http.StatusUnauthorized, Code: codeInsufficientAuthentication, Err: because(ErrInsufficientAuthentication)}
	case probe.ServerError:
		return serverError(errProbe)
	default:
		return unavailable(errProbe)
	}
}
