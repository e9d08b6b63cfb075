package jose

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// ask returns a round to wait for and whether it is the caller's own, begun
// after the call; or nil, if unknown keys have asked within the interval. next
// is when they may ask again. A caller that has not tried the newest keys need
// wait for nothing.
func (s *Set) ask(tried *state) (r *round, mine bool, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	next = s.lastAsked.Add(s.cfg.UnknownInterval)
	if s.state.Load() != tried {
		return ended, false, next
	}
	if s.running != nil {
		return s.running, false, next
	}
	// A clock that was set back must not lock out the keys until it has caught up.
	recent := !s.lastAsked.IsZero() && now.Before(next) && !now.Before(s.lastAsked)
	if s.ctx.Err() != nil || recent {
		return nil, false, next
	}
	s.lastAsked = now
	return s.begin(), true, now.Add(s.cfg.UnknownInterval)
}

// ended is a round that has brought what there is.
var ended = func() *round {
	r := &round{done: make(chan struct{})}
	close(r.done)
	return r
}()

// begin starts a fetch. s.mu is held, and none is running.
func (s *Set) begin() *round {
	r := &round{done: make(chan struct{}), began: s.cfg.Now()}
	s.running = r
	go func() {
		event := s.run(r)
		close(r.done)
		select {
		case s.wake <- struct{}{}:
		default: // is awake
		}
		if s.ctx.Err() == nil { // or it has failed because nobody wants it any more
			s.report(event)
		}
	}()
	return r
}

// run fetches, and installs what came.
func (s *Set) run(r *round) (event Event) {
	var validator string
	if now := s.state.Load(); now != nil {
		validator = now.validator
	}
	doc, err := s.safeFetch(validator)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		event, err = s.install(r, doc)
	}
	s.running = nil
	s.emptyOnce = errors.Is(err, errEmpty)
	if err != nil {
		r.err = err
		event.Err = err
		s.failures++
		s.next = time.Now().Add(s.retryDelay())
		return event
	}
	event.Recovered = s.failures > 0
	s.failures = 0
	s.next = time.Now().Add(s.interval(doc.MaxAge))
	return event
}

// safeFetch keeps a panic in a caller's http.Client from ending the process:
// nobody else could recover it.
func (s *Set) safeFetch(validator string) (doc Document, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("jose: panic in the HTTP client: %T", v)
		}
	}()
	return s.cfg.Fetch(s.ctx, validator)
}

// report keeps a panic in a caller's logger from ending the process, too.
func (s *Set) report(event Event) {
	defer func() { _ = recover() }()
	s.cfg.Report(event)
}

var (
	errEmpty    = errors.New("jose: the server has withdrawn all keys; waiting for it to say so again")
	errUnusable = errors.New("jose: no usable key in the set")
)

// install makes the document the current state. s.mu is held.
func (s *Set) install(r *round, doc Document) (Event, error) {
	before := s.state.Load()
	if doc.Body == nil {
		if before == nil {
			return Event{}, errNoKeys
		}
		s.state.Store(&state{snapshot: before.snapshot, fetched: r.began, validator: before.validator})
		return Event{Keys: len(before.keys)}, nil
	}
	keys, skipped, err := parseSet(doc.Body, s.cfg.MaxKeys)
	if err != nil {
		return Event{}, err
	}
	if len(keys) == 0 && skipped > 0 {
		return Event{}, errUnusable
	}
	if len(keys) == 0 && !s.emptyOnce && (before == nil || len(before.keys) > 0) {
		// Once may be a slip, and it would refuse everybody.
		return Event{}, errEmpty
	}
	var old *snapshot
	if before != nil {
		old = before.snapshot
	}
	next := old.replace(keys)
	s.state.Store(&state{snapshot: next, fetched: r.began, validator: doc.Validator})
	return Event{Keys: len(keys), Skipped: skipped, Changed: !sameKeys(old, next)}, nil
}

func sameKeys(a, b *snapshot) bool {
	if a == nil || len(a.keys) != len(b.keys) {
		return false
	}
	for i := range a.keys {
		if a.keys[i] != b.keys[i] {
			return false
		}
	}
	return true
}

// interval is how long a set serves before the next scheduled fetch: what the
// server says, within bounds, a little less, so that a fleet spreads out.
func (s *Set) interval(maxAge time.Duration) time.Duration {
	d := s.cfg.RefreshInterval
	if maxAge >= 0 {
		d = min(max(maxAge, minMaxAge), maxMaxAge)
	}
	return d - rand.N(d/10+1)
}

// retryDelay grows from one second to half a minute, but while there are no
// keys to serve with, not beyond what unknown keys would cause anyway.
func (s *Set) retryDelay() time.Duration {
	longest := maxRetry
	if s.emptyOnce || s.Ready() != nil {
		longest = max(min(maxRetry, s.cfg.UnknownInterval), minRetry)
	}
	if s.emptyOnce { // a second answer at once would say nothing new
		return longest
	}
	return min(minRetry<<min(s.failures-1, 10), longest)
}

// refresh fetches when it is time, until the context is done.
func (s *Set) refresh() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake: // a round has ended, and says when the next one is due
		case <-timer.C:
		}
		timer.Reset(s.due())
	}
}

// due begins a round if it is time for one, and returns when to look again.
func (s *Set) due() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil && !time.Now().Before(s.next) {
		s.begin()
	}
	if s.running != nil {
		return maxMaxAge // its end wakes us
	}
	return time.Until(s.next)
}
