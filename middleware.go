package oauthz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/oauthz/oauthz/internal/probe"
)

// Guard protects handlers. It is immutable and safe for concurrent use.
type Guard struct {
	introspector        Introspector
	cacheable           bool // if false, each Guard that a request meets calls the introspector
	revocations         []boundList
	confirmers          map[string]Confirmer
	realm               string
	resourceMetadataURL string
	allowPreflight      bool
	errorHandler        func(http.ResponseWriter, *http.Request, *Error)
	observe             func(context.Context, Decision)
	now                 func() time.Time
}

// Format writes the name of the type. Without this method, package fmt would
// print the fields of the hooks of a Guard for a verb that does not fit the type,
// and with them the secrets of the hooks.
func (*Guard) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "oauthz.Guard") }

var errNilToken = errors.New("oauthz: introspector returned neither a token nor an error")

// Protect returns a middleware that lets a request through only if the request
// meets req. The middleware never wraps the ResponseWriter and never reads the
// body.
//
// Under another Protect of the same Guard (a group, then a route) the introspector
// does not validate the token a second time: see [Guard.Authorize].
//
// Protect panics if g is nil. The middleware panics if its handler is nil.
func (g *Guard) Protect(req Requirement) func(http.Handler) http.Handler {
	if g == nil {
		panic("oauthz: Protect: nil Guard")
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("oauthz: Protect: nil handler")
		}
		return &protected{guard: g, req: req, next: next}
	}
}

// protected is a handler behind a Guard. It has a type of its own so that
// [Protected] can recognize it.
type protected struct {
	guard *Guard
	req   Requirement
	next  http.Handler
}

func (p *protected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	authorized, err := p.guard.Authorize(r, p.req)
	if err != nil {
		p.guard.WriteError(w, r, err)
		return
	}
	p.next.ServeHTTP(w, authorized)
}

// Authorize decides whether r meets req. It returns the request to pass on, whose
// context holds the token, or an *[Error] for [Guard.WriteError]. It writes no
// response. [Decision.Pattern] is that of r.
//
// Authorize can be called again with the request that a handler received, for
// example by a handler that serves a stream. If the request still has the
// credentials that this Guard has let through, Authorize checks the revocation
// lists, the expiry and req again, unless req is [Public]. It does not call the
// introspector again, so it does not notice that the authorization server has
// ended the token or withdrawn a key, and it does not check proof of possession
// again. An introspector that is not [Cacheable] is called again, but only its
// refusal counts: the token stays the same.
//
// It is safe for concurrent use.
func (g *Guard) Authorize(r *http.Request, req Requirement) (*http.Request, error) {
	return g.AuthorizeRoute(r, req, r.Pattern)
}

// AuthorizeRoute is [Guard.Authorize] for an adapter to a framework that knows the
// pattern of the route when r.Pattern does not hold it.
func (g *Guard) AuthorizeRoute(r *http.Request, req Requirement, pattern string) (*http.Request, error) {
	outer := r.Context().Value(grantKey{})
	if p, ok := outer.(*probe.Context[Requirement]); ok {
		return answerProbe(p, r, g.required(req))
	}
	a := attempt{guard: g, r: r, req: req, pattern: pattern}
	a.outer, _ = outer.(*grant)
	var next *http.Request
	var e *Error
	if g.observe == nil {
		next, e = a.decide()
	} else {
		next, e = a.decideAndObserve()
	}
	if e != nil { // a nil *Error is not a nil error
		return nil, e
	}
	return next, nil
}

// WriteError writes the response to a request that [Guard.Authorize] refused (RFC
// 6750 §3). No other function writes a refusal. An error that is not an *[Error]
// is answered as if an [Introspector] had returned it.
func (g *Guard) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	e := toError(err)
	g.writeHeader(w.Header(), e)
	if g.errorHandler != nil {
		g.handleError(w, r, e)
		return
	}
	w.WriteHeader(e.Status)
	writeBody(w, r, e)
}

// writeBody writes the default body of a refusal. A response to HEAD has no body
// (RFC 9110 §9.3.2).
func writeBody(w http.ResponseWriter, r *http.Request, e *Error) {
	if r.Method != http.MethodHead {
		_, _ = w.Write(errorBody(e)) // an error means that the client has disconnected
	}
}
