// Package cases has the cases to measure. The benchmarks of go test and the program both run these.
package cases

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
)

// subject is the sub of all tokens.
const subject = "user-1"

// A Case is one thing to measure, ready: servers run, keys are fetched, and one request has been answered.
type Case struct {
	figures.Key
	// Handler answers the requests, and Tokens are the tokens to send. They are nil and zero for a case without requests.
	Handler http.Handler
	Tokens  Tokens
	// Asked returns the number of introspection requests of all cases; nil for JWTs.
	Asked func() int
	// verify is measured where there is no Handler.
	verify func() bool
}

// Suite is all cases, in the order in which they are shown.
type Suite struct {
	Cases []Case
	close []func()
}

// New starts what the cases need. Close it, or cancel ctx and close it.
func New(ctx context.Context) (*Suite, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Suite{close: []func(){cancel}}
	for _, build := range []func(context.Context) error{s.addJWT, s.addOpaque, s.addFrameworks} {
		if err := build(ctx); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Close stops the servers and all background work of the cases.
func (s *Suite) Close() {
	for _, stop := range s.close {
		stop()
	}
}

// Of returns the cases of one benchmark.
func (s *Suite) Of(benchmark string) []Case {
	var of []Case
	for _, c := range s.Cases {
		if c.Benchmark == benchmark {
			of = append(of, c)
		}
	}
	return of
}

// goroutines is how many make requests at once. Each benchmark is run with all of these.
func goroutines() []int { return []int{1, 8} }

// addPeers adds a handler for each peer that can do it, for all numbers of goroutines.
func (s *Suite) addPeers(ctx context.Context, benchmark string, all []peers.Peer, iss *issuer) error {
	var ready []Case
	for _, peer := range all {
		if !peer.Does(iss.Algorithm) {
			continue
		}
		handler, err := peer.Protect(ctx, iss.Issuer, route)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", benchmark, peer.Name, err)
		}
		key := figures.Key{Benchmark: benchmark, Algorithm: iss.Algorithm, By: peer.Name}
		ready = append(ready, Case{Key: key, Handler: handler, Tokens: iss.tokens, Asked: iss.asked})
	}
	return s.add(ready, goroutines())
}

// add takes cases that differ in By alone, in each number of goroutines, after it has seen them answer.
func (s *Suite) add(ready []Case, goroutines []int) error {
	for _, c := range ready {
		if status := c.Status(c.Tokens.Good); c.Handler != nil && status != http.StatusOK {
			return fmt.Errorf("%s, %s: a good token is answered %d", c.Benchmark, c.By, status)
		}
	}
	for _, n := range goroutines {
		for _, c := range ready {
			c.Goroutines = n
			s.Cases = append(s.Cases, c)
		}
	}
	return nil
}

// route is the protected handler: it does nothing after it has read the subject of the token.
func route(w http.ResponseWriter, _ *http.Request, sub string) {
	if sub != subject {
		http.Error(w, "whose token is it?", http.StatusInternalServerError)
	}
}

// Status returns the status of the handler's response to a token.
func (c Case) Status(token string) int {
	if c.Handler == nil {
		return 0
	}
	w := newRecorder()
	c.Handler.ServeHTTP(w, request(token))
	return w.status
}

// Run measures the case. Exactly c.Goroutines goroutines make requests, for every GOMAXPROCS, and each makes its share: a
// shared counter would dominate the time of a request that takes a microsecond.
func (c Case) Run(b *testing.B) {
	work := c.verifications
	if c.Handler != nil {
		work = c.requests
	}
	failed := make([]error, c.Goroutines)
	b.ReportAllocs()
	b.ResetTimer()
	if c.Goroutines == 1 {
		failed[0] = work(b.N)
	} else {
		var workers sync.WaitGroup
		for i := range failed {
			share := b.N / c.Goroutines
			if i < b.N%c.Goroutines {
				share++
			}
			workers.Go(func() { failed[i] = work(share) })
		}
		workers.Wait()
	}
	b.StopTimer()
	for _, err := range failed {
		if err != nil {
			b.Fatal(err)
		}
	}
}

func (c Case) requests(n int) error {
	r, w := request(c.Tokens.Good), newRecorder()
	for range n {
		c.Handler.ServeHTTP(w, r)
	}
	if w.status != http.StatusOK {
		return fmt.Errorf("%s: a good token was answered %d", c.Name(), w.status)
	}
	return nil
}

func (c Case) verifications(n int) error {
	for range n {
		if !c.verify() {
			return fmt.Errorf("%s: a good signature does not verify", c.Name())
		}
	}
	return nil
}
