package oauthz

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// attempt is the way of one request through a Guard.
type attempt struct {
	guard   *Guard
	r       *http.Request
	req     Requirement
	pattern string // of the route
	outer   *grant // of an outer Guard that has let the request through, if any

	running   string // the hook that is running, for the message if it panics
	token     *Token // set after the introspector has accepted it
	source    Source
	allowedAs Outcome // the outcome, if the request is let through without a token
}

// decideAndObserve decides, and calls Config.Observe. If Observe panics, the
// decision is not recorded, and the request is refused.
func (a *attempt) decideAndObserve() (next *http.Request, e *Error) {
	start := time.Now()
	next, e = a.decide()
	d := Decision{
		Allowed: e == nil, Outcome: a.outcome(e), Err: e, Requirement: a.req,
		Pattern: a.pattern, Source: a.source, Duration: time.Since(start),
	}
	if a.token != nil {
		d.Token = a.token.Clone()
	}
	defer func() {
		if v := recover(); v != nil {
			next, e = nil, panicError("Observe hook", v)
		}
	}()
	a.guard.observe(a.r.Context(), d)
	return next, e
}

// decide checks, in this order: the credentials, the introspector, the revocation
// lists, the proof of possession, the requirement.
func (a *attempt) decide() (next *http.Request, e *Error) {
	defer func() {
		if v := recover(); v != nil {
			next, e = nil, panicError(a.running, v)
		}
	}()
	a.running = "Guard"
	g := a.guard
	if g.allowPreflight && isPreflight(a.r) {
		a.allowedAs = OutcomePreflight
		return a.r, nil
	}
	if a.req.isPublic() {
		a.allowedAs = OutcomePublic
		return a.r, nil
	}
	if a.alreadyAuthorized() {
		return a.reauthorize()
	}
	token, err := BearerToken(a.r)
	if err != nil {
		return a.withoutToken(err)
	}
	if e := a.validate(token); e != nil {
		return nil, e
	}
	return a.grant(), nil
}

// reauthorize decides about a request that an outer Protect of the same Guard has
// let through. It repeats every check whose result may have changed since then,
// with two exceptions: the verdict of the introspector, and the proofs of
// possession, each of which may be used only once.
func (a *attempt) reauthorize() (*http.Request, *Error) {
	a.token, a.source = a.outer.token, a.outer.source
	if !a.guard.cacheable {
		if e := a.reintrospect(); e != nil {
			return nil, e
		}
	}
	if e := a.checkRevocation(); e != nil {
		return nil, e
	}
	if e := a.checkToken(); e != nil {
		return nil, e
	}
	if found, _ := TokenFrom(a.r.Context()); found != &a.outer.own {
		return a.grant(), nil // a handler in between has put another token into the context
	}
	return a.r, nil
}

// reintrospect calls an introspector that has revocation lists of its own. The
// token stays the one that the outer Guard has validated and whose proof of
// possession it has checked.
func (a *attempt) reintrospect() *Error {
	token, err := BearerToken(a.r)
	if err != nil {
		return toError(err)
	}
	a.running = "Introspector"
	if _, err := a.introspect(token); err != nil {
		return tokenError(err)
	}
	return nil
}

// alreadyAuthorized reports whether an outer Protect of the same Guard has let the
// same credentials through. It compares the credentials because a handler may have
// put the request of another client into this context.
func (a *attempt) alreadyAuthorized() bool {
	if a.outer == nil || a.outer.guard != a.guard {
		return false
	}
	fields := a.r.Header[authorization]
	return len(fields) == 1 && fields[0] == a.outer.credentials
}

// withoutToken decides about a request for which BearerToken returned err.
func (a *attempt) withoutToken(err error) (*http.Request, *Error) {
	if !errors.Is(err, ErrNoToken) {
		return nil, toError(err)
	}
	if !a.req.allowsAnonymous() {
		return nil, a.req.withoutToken()
	}
	a.allowedAs = OutcomeAnonymous
	if _, ok := TokenFrom(a.r.Context()); ok { // the token of another request: this request has none
		return a.r.WithContext(WithToken(a.r.Context(), nil)), nil
	}
	return a.r, nil
}

// validate checks the token, and then the requirement of the route.
func (a *attempt) validate(token string) *Error {
	a.running = "Introspector"
	t, err := a.introspect(token)
	switch {
	case err != nil:
		return tokenError(err)
	case t == nil:
		return serverError(errNilToken)
	}
	a.token = t
	if e := a.checkRevocation(); e != nil {
		return e
	}
	if t.Confirmation != nil {
		a.running = "Confirmer"
		if err := a.confirm(token); err != nil {
			return tokenError(err)
		}
	}
	return a.checkToken()
}

// checkRevocation looks the token up in the revocation lists, on every request and
// at every Guard, because a token may be revoked while its request is on the way.
func (a *attempt) checkRevocation() *Error {
	if len(a.guard.revocations) == 0 {
		return nil
	}
	a.running = "RevocationList"
	if err := askLists(a.r.Context(), a.guard.revocations, a.token); err != nil {
		return tokenError(err)
	}
	return nil
}

// introspect calls the introspector. If the Guard has an Observe hook, introspect
// also records where the verdict came from.
func (a *attempt) introspect(token string) (*Token, error) {
	ctx := a.r.Context()
	if a.guard.observe == nil {
		return a.guard.introspector.Introspect(ctx, token)
	}
	reported := new(atomic.Int64)
	defer func() { a.source = Source(reported.Load()) }()
	return a.guard.introspector.Introspect(context.WithValue(ctx, sourceKey{}, reported), token)
}

// confirm calls the Confirmer of every member of cnf (RFC 7800 §3.1). An empty cnf
// is refused, because it binds the token to a key that no Confirmer can check.
func (a *attempt) confirm(token string) error {
	methods := a.token.Confirmation.Methods()
	if len(methods) == 0 {
		return fmt.Errorf("%w: empty cnf", ErrInvalidToken)
	}
	for _, method := range methods {
		confirmer := a.guard.confirmers[method]
		if confirmer == nil {
			return fmt.Errorf("%w: no Confirmer for a member of cnf", ErrInvalidToken)
		}
		if err := confirmer.Confirm(a.r, schemeBearer, token, a.token); err != nil {
			return err
		}
	}
	return nil
}

// checkToken makes the checks that depend on the route and on the time.
func (a *attempt) checkToken() *Error {
	a.running = "Now hook"
	now := a.guard.now()
	a.running = "Guard"
	if a.token.Expired(now) {
		return tokenError(ErrExpired)
	}
	if a.token.issuedTooFarAhead(now) {
		return tokenError(errIssuedTooFarAhead)
	}
	return a.req.check(a.token, now)
}

// grant returns the request that the handler receives.
func (a *attempt) grant() *http.Request {
	ctx := &grant{
		Context: a.r.Context(), guard: a.guard, token: a.token, source: a.source,
		credentials: a.r.Header[authorization][0],
	}
	a.token.copyTo(&ctx.own)
	return a.r.WithContext(ctx)
}

// isPreflight reports whether r is a CORS preflight: an OPTIONS request with these
// two fields (Fetch §3.2.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// outcome returns the outcome of a decision; e is nil if the request is let through.
func (a *attempt) outcome(e *Error) Outcome {
	switch {
	case e == nil && a.allowedAs != "":
		return a.allowedAs
	case e == nil:
		return OutcomeAllowed
	case e.Status == http.StatusServiceUnavailable:
		return OutcomeUnavailable
	case e.Status == http.StatusInternalServerError:
		return OutcomeServerError
	case errors.Is(e, ErrNoToken):
		return OutcomeNoToken
	case errors.Is(e, ErrInsufficientScope):
		return OutcomeInsufficientScope
	case errors.Is(e, ErrInsufficientAuthentication):
		return OutcomeInsufficientAuthentication
	case e.Status == http.StatusBadRequest:
		return OutcomeInvalidRequest
	default:
		return OutcomeInvalidToken
	}
}
