package oauthz

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"unicode"
)

// AnyMethod is the [Route.Method] of a route that answers to every method.
const AnyMethod = "*"

// Route is a route of a program, with what the Guards before its handler
// require: a line of a table in which every route is accounted for. The adapters
// for frameworks find them out, and package oauthztest those of an
// [http.ServeMux].
type Route struct {
	// Method is that of the requests, or AnyMethod.
	Method string
	// Pattern is written as the router writes it: /orders/{id}, /orders/:id.
	Pattern string
	// Requirements are those of the Guards, the outermost first. There are none
	// if no Guard stands before the handler. Those of a Guard with
	// Config.AllowPreflight are described as "… or preflight", whatever Method is.
	Requirements []Requirement
	// Err says why the Requirements are not all, or nil.
	Err error
}

// Requirement is all that a request must meet to reach the handler. It is not ok
// if no Guard stands before that: then it is what [Public] is, and not on purpose.
//
// Preflights have the method OPTIONS (Fetch §3.2.2): of a route for another
// method the Requirement does not describe that they are let through. A program
// that needs the Requirement of one method of a route for AnyMethod sets Method
// in a copy.
func (r Route) Requirement() (req Requirement, ok bool) {
	requirements := r.Requirements
	if !r.answersOptions() {
		requirements = make([]Requirement, len(r.Requirements))
		for i, req := range r.Requirements {
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
// route. AnyMethod has no letters, and neither has the method that an adapter
// gives to the route of all requests that no other route answers (404).
func (r Route) answersOptions() bool {
	return r.Method == http.MethodOptions || !strings.ContainsFunc(r.Method, unicode.IsLetter)
}

// required returns req as a table of routes describes it. With AllowPreflight a
// preflight reaches the handler without meeting req, even one that carries a bad
// token, which OrAnonymous refuses.
func (g *Guard) required(req Requirement) Requirement {
	req.preflight = g.allowPreflight && !req.open()
	return req
}

// Protected says what h requires, if [Guard.Protect] made it, and what it
// protects: the first handler that Protect did not make. Otherwise that is h
// itself. Nothing is run.
func Protected(h http.Handler) (requirements []Requirement, inner http.Handler) {
	for {
		p, ok := h.(*protected)
		if !ok {
			return requirements, h
		}
		requirements, h = append(requirements, p.guard.required(p.req)), p.next
	}
}

var errProbe = errors.New("oauthz: a probe, not a request")

// Probe finds out what the Guards in a chain of middleware require, in the order
// in which they meet a request. It is for adapters: serve runs the chain, around
// an end that does no harm, with the request that it is given: r in a context
// in which Guards look at no credentials, ask nobody and report nothing to
// [Config.Observe].
//
// Where the end of the chain cannot be chosen, stop says which Guard refuses the
// request, 1 being the first, so that nothing behind it is run, however often the
// request comes back. If stop is 0 all let it through.
func Probe(r *http.Request, stop int, serve func(*http.Request)) []Requirement {
	p := &probe{Context: r.Context(), answer: func(n int) error {
		if stop > 0 && n >= stop {
			return unavailable(errProbe)
		}
		return nil
	}}
	serve(r.WithContext(p))
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// probe is the context of a request that asks Guards what they require. It is
// found where a Guard looks for the grant of another.
type probe struct {
	context.Context
	answer func(n int) error // of the nth Guard that is met

	mu  sync.Mutex // a middleware may go on in another goroutine
	met []Requirement
}

// Value makes probe a context that carries itself.
func (p *probe) Value(key any) any {
	if _, ok := key.(grantKey); ok {
		return p
	}
	return p.Context.Value(key)
}

// meet adds the Requirement of a Guard, and refuses where the probe stops.
func (p *probe) meet(r *http.Request, req Requirement) (*http.Request, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met = append(p.met, req)
	if err := p.answer(len(p.met)); err != nil {
		return nil, err
	}
	return r, nil
}
