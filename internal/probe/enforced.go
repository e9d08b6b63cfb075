package probe

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Reasons why a request may reach the handler without meeting the requirements of the Guards in a middleware. An adapter
// puts the name of its package before them.
var (
	errNotEnforced = errors.New("a middleware calls a Guard and continues although the Guard refuses: write Any for alternatives, and OrAnonymous for requests without a token")
	errAnswers     = errors.New("a middleware that calls a Guard answers the request itself: it is not known whether it continues when the Guard refuses")
	errDepends     = errors.New("a middleware calls other Guards, or none, depending on the request")
)

// maxAnswers bounds how many combinations of answers [Enforced] tries: all combinations for up to six Guards in one
// middleware, and for more Guards those with the fewest refusals.
const maxAnswers = 64

// Enforced returns nil if a middleware lets a request through only if every Guard in it does, and otherwise an error with
// the reason for the doubt. serve must run the middleware with the request that it receives, around a handler without side
// effects, and report whether that handler was reached. The requests are those of [Requirements].
//
// The error is nil if no Guard was called, or if the handler was not reached in any run in which a Guard refused. Enforced
// calls serve with each combination of refusals, with each reason that a Guard has to refuse, and with requests that differ
// in the properties by which a program may decide: credentials of several kinds, a client certificate, a preflight, an
// upgrade, the address of a proxy.
//
// A condition on anything else, such as a header field of the program's own, a path or the time, is not found. The
// documentation of each adapter states this.
func Enforced[R fmt.Stringer](r *http.Request, serve func(*http.Request) (reached bool)) error {
	met, reached := answered[R](r, nil, None, serve)
	switch {
	case len(met) == 0:
		return nil
	case !reached:
		return errAnswers
	}
	for refusal := Unavailable; refusal <= ServerError; refusal++ { // a middleware may handle some of them only
		if !enforcedFor[R](r, refusal, serve) {
			return errNotEnforced
		}
	}
	for _, change := range variants {
		other := r.Clone(r.Context())
		change(other)
		found, reached := answered[R](other, nil, None, serve)
		if reached && !slices.EqualFunc(met, found, equal[R]) {
			return errDepends
		}
	}
	return nil
}

func equal[R fmt.Stringer](a, b R) bool { return a.String() == b.String() }

// enforcedFor tries all combinations of answers, those with the fewest refusals first: each is a combination that was tried
// before, with one more refusal by a later Guard.
func enforcedFor[R fmt.Stringer](r *http.Request, refusal Refusal, serve func(*http.Request) bool) bool {
	tries := [][]bool{nil} // a combination holds for each of the first Guards whether it refuses; later Guards do not
	for i := 0; i < len(tries) && i < maxAnswers; i++ {
		refuses := tries[i]
		met, reached := answered[R](r, refuses, refusal, serve)
		if reached && len(refuses) > 0 {
			return false
		}
		for n := len(refuses); n < len(met) && len(tries) < maxAnswers; n++ {
			next := make([]bool, n+1)
			copy(next, refuses)
			next[n] = true
			tries = append(tries, next)
		}
	}
	return true
}

// answered runs serve once. The Guards for which refuses is true answer with refusal.
func answered[R fmt.Stringer](r *http.Request, refuses []bool, refusal Refusal, serve func(*http.Request) bool) (met []R, reached bool) {
	p := &Context[R]{Context: r.Context(), answer: func(n int) Refusal {
		if n <= len(refuses) && refuses[n-1] {
			return refusal
		}
		return None
	}}
	reached = serve(r.Clone(p)) // a middleware may change the request
	return p.requirements(), reached
}
