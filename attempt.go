package oauthz

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// attempt is one request on its way through a Guard.
type attempt struct {
	guard   *Guard
	r       *http.Request
	req     Requirement
	pattern string // of the route
	outer   *grant // of a Guard that the request has passed, if any

	where  string // which hook is running, if it should panic
	token  *Token // once the introspector has answered
	source Source
	passed Outcome // why there is a way through, when it is not a token
}

// decideAndReport decides, and tells the hook, which must not let a request
// through that it failed to record.
func (a *attempt) decideAndReport() (next *http.Request, e *Error) {
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
			next, e = nil, panicked("Observe hook", v)
		}
	}()
	a.guard.observe(a.r.Context(), d)
	return next, e
}

// decide is the way of a request: credentials, introspector, revocations,
// sender constraint, requirement.
func (a *attempt) decide() (next *http.Request, e *Error) {
	defer func() {
		if v := recover(); v != nil {
			next, e = nil, panicked(a.where, v)
		}
	}()
	a.where = "Guard"
	g := a.guard
	if g.allowPreflight && isPreflight(a.r) {
		a.passed = OutcomePreflight
		return a.r, nil
	}
	if a.req.open() {
		a.passed = OutcomePublic
		return a.r, nil
	}
	if a.granted() {
		return a.again()
	}
	token, err := bearerToken(a.r)
	if err != nil {
		return a.withoutToken(err)
	}
	if e := a.judge(token); e != nil {
		return nil, e
	}
	return a.grant(), nil
}

// again decides about a request that an outer Protect of the same Guard has let
// through. It checks everything that may have changed since then, except the
// verdict of the introspector, and the proofs of possession, each of which is
// good for one use.
func (a *attempt) again() (*http.Request, *Error) {
	a.token, a.source = a.outer.token, a.outer.source
	if !a.guard.cacheable {
		if e := a.askAgain(); e != nil {
			return nil, e
		}
	}
	if e := a.askLists(); e != nil {
		return nil, e
	}
	if e := a.checkToken(); e != nil {
		return nil, e
	}
	if found, _ := TokenFrom(a.r.Context()); found != &a.outer.own {
		return a.grant(), nil // somebody between has put another into the context
	}
	return a.r, nil
}

// askAgain calls an introspector that has revocation lists of its own. The token
// stays the one that the outer Guard has judged, whose proof has been checked.
func (a *attempt) askAgain() *Error {
	token, err := bearerToken(a.r)
	if err != nil {
		return told(err)
	}
	a.where = "Introspector"
	if _, err := a.ask(token); err != nil {
		return refusal(err)
	}
	return nil
}

// granted reports whether an outer Protect of the same Guard has judged the same
// credentials: a handler may have put a request of another caller into this
// context.
func (a *attempt) granted() bool {
	if a.outer == nil || a.outer.guard != a.guard {
		return false
	}
	fields := a.r.Header[authorization]
	return len(fields) == 1 && fields[0] == a.outer.credentials
}

func (a *attempt) withoutToken(err error) (*http.Request, *Error) {
	if !errors.Is(err, ErrNoToken) {
		return nil, told(err)
	}
	if !a.req.allowsAnonymous() {
		return nil, a.req.withoutToken()
	}
	a.passed = OutcomeAnonymous
	if _, ok := TokenFrom(a.r.Context()); ok { // somebody else's: this request has none
		return a.r.WithContext(WithToken(a.r.Context(), nil)), nil
	}
	return a.r, nil
}

// judge judges the token in all but what the route requires, and then that.
func (a *attempt) judge(token string) *Error {
	a.where = "Introspector"
	t, err := a.ask(token)
	switch {
	case err != nil:
		return refusal(err)
	case t == nil:
		return serverError(errNilToken)
	}
	a.token = t
	if e := a.askLists(); e != nil {
		return e
	}
	if t.Confirmation != nil {
		a.where = "Confirmer"
		if err := a.confirm(token); err != nil {
			return refusal(err)
		}
	}
	return a.checkToken()
}

// askLists looks the token up in the revocation lists, on every request and at
// every Guard: a token may be revoked while a request is on its way.
func (a *attempt) askLists() *Error {
	if len(a.guard.revocations) == 0 {
		return nil
	}
	a.where = "RevocationList"
	if err := askLists(a.r.Context(), a.guard.revocations, a.token); err != nil {
		return refusal(err)
	}
	return nil
}

// ask asks the introspector, and, if somebody wants to know, where its verdict
// comes from.
func (a *attempt) ask(token string) (*Token, error) {
	ctx := a.r.Context()
	if a.guard.observe == nil {
		return a.guard.introspector.Introspect(ctx, token)
	}
	reported := new(atomic.Int64)
	defer func() { a.source = Source(reported.Load()) }()
	return a.guard.introspector.Introspect(context.WithValue(ctx, sourceKey{}, reported), token)
}

// confirm asks for every member of cnf. One that is empty binds the token to
// nothing that could be checked.
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

// checkToken checks what depends on the route and on the time.
func (a *attempt) checkToken() *Error {
	a.where = "Now hook"
	now := a.guard.now()
	a.where = "Guard"
	if a.token.Expired(now) {
		return refusal(ErrExpired)
	}
	if a.token.issuedTooFarAhead(now) {
		return refusal(errIssuedTooFarAhead)
	}
	return a.req.check(a.token, now)
}

// grant makes the request that the handler sees.
func (a *attempt) grant() *http.Request {
	ctx := &grant{
		Context: a.r.Context(), guard: a.guard, token: a.token, source: a.source,
		credentials: a.r.Header[authorization][0],
	}
	a.token.copyTo(&ctx.own)
	return a.r.WithContext(ctx)
}

// isPreflight: an OPTIONS request with these two fields (Fetch §3.2.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func (a *attempt) outcome(e *Error) Outcome {
	switch {
	case e == nil && a.passed != "":
		return a.passed
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
