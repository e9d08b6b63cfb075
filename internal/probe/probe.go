// Package probe finds out which Guards stand before a handler without running the handler. The adapters for frameworks use it
// to list the requirements of routes, and the root of the module to answer for its Guards.
//
// The adapters are modules with versions of their own, so this API is frozen like a public one: api_test.go compares it with
// a golden file.
package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// GuardKey is the context key under which a Guard looks for a [Context], and for the grant of an outer Guard: one look-up
// finds both, so that probes cost requests nothing.
type GuardKey struct{}

// Requirements returns what the Guards in a chain of middleware require, in the order in which a request meets them. serve
// must run the chain, around a handler without side effects, with the request that it receives: r in a context in which a
// Guard reads no credentials, calls no introspector and reports no decision.
//
// Where the adapter cannot choose the handler, stop is the number of the Guard that refuses the request, 1 being the
// first. Every later Guard refuses it too, so that no code behind Guard number stop runs, even if a middleware sends the
// request again. If stop is 0, all Guards let the request through.
//
// R must be oauthz.Requirement: a Guard does not recognize the probe of another type, and handles the request as a real one.
func Requirements[R fmt.Stringer](r *http.Request, stop int, serve func(*http.Request)) []R {
	p := &Context[R]{Context: r.Context(), answer: func(n int) Refusal {
		if stop > 0 && n >= stop {
			return Unavailable
		}
		return None
	}}
	serve(r.WithContext(p))
	return p.requirements()
}

// A Refusal is the kind of refusal with which a Guard must answer a probe.
type Refusal int

// The kinds of refusals that a Guard has.
const (
	None Refusal = iota // let the request through
	Unavailable
	NoToken
	InvalidToken
	Expired
	InvalidRequest
	InsufficientScope
	InsufficientAuthentication
	ServerError
)

// Context is the context of a request that collects requirements. It is safe for concurrent use: a middleware may continue
// in another goroutine.
type Context[R fmt.Stringer] struct {
	context.Context
	answer func(n int) Refusal // of the nth Guard that the request meets

	mu  sync.Mutex
	met []R
}

// Value returns the Context itself for a [GuardKey].
func (c *Context[R]) Value(key any) any {
	if _, ok := key.(GuardKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// Meet adds the requirement of a Guard that the request has reached. It returns the kind of refusal with which that Guard
// must answer, or None.
func (c *Context[R]) Meet(requirement R) Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.met = append(c.met, requirement)
	return c.answer(len(c.met))
}

// requirements returns those of the Guards that the request has met so far.
func (c *Context[R]) requirements() []R {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.met)
}
