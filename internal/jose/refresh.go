package jose

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
)

// Bounds of the time between two scheduled fetches.
const (
	minMaxAge = time.Minute
	maxMaxAge = time.Hour
	maxRetry  = 30 * time.Second
	minRetry  = 2 * time.Second
	gateRetry = 10 * time.Second // the gate was full
)

// Gate bounds how many scheduled fetches run at once, over all sets that share
// the gate. A fetch that a token causes does not pass the gate, because requests
// wait for that fetch.
type Gate chan struct{}

// Share makes the scheduled fetches of s pass gate from now on.
func (s *Set) Share(gate Gate) { s.gate.Store(&gate) }

// fetchCall is one call of SetConfig.Fetch.
type fetchCall struct {
	done    chan struct{} // closed when the call has ended
	began   time.Time     // by cfg.Now
	noCache bool          // caused by a token that the current keys do not verify
	awaited bool          // such a token waits for it, whatever caused it; guarded by Set.mu
	entered Gate          // to leave when the fetch ends; nil: none
	err     error         // set before done is closed
}

// endedCall is a call that has ended without an error.
var endedCall = func() *fetchCall {
	c := &fetchCall{done: make(chan struct{})}
	close(c.done)
	return c
}()

// fetchNewer returns a call to wait for, and reports whether it began for this
// caller and after tried was loaded. It returns nil if an unknown key has already
// caused a fetch within the interval. A caller that has not tried the newest keys
// gets a call that has ended: it does not have to wait.
func (s *Set) fetchNewer(tried *state) (call *fetchCall, own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != tried {
		return endedCall, false
	}
	if s.running != nil {
		s.running.awaited = true
		return s.running, false
	}
	now := s.cfg.Now()
	// A clock that is set back must not lock out new keys until the clock has
	// caught up.
	recent := !s.intervalStart.IsZero() && now.Before(s.intervalEnd) && !now.Before(s.intervalStart)
	if s.ctx.Err() != nil || recent {
		return nil, false
	}
	s.startInterval(now)
	return s.startFetch(&fetchCall{noCache: true, awaited: true}), true
}

// startInterval allows no further fetch for an unknown key within an interval
// from now on. The caller holds s.mu.
func (s *Set) startInterval(now time.Time) {
	s.intervalStart, s.intervalEnd = now, now.Add(s.cfg.UnknownInterval)
}

// startFetch starts call. The caller holds s.mu, and no call is running.
func (s *Set) startFetch(call *fetchCall) *fetchCall {
	call.done, call.began = make(chan struct{}), s.cfg.Now()
	s.running = call
	go func() {
		event := s.runFetch(call)
		close(call.done)
		if s.ctx.Err() == nil { // else the call failed because the Set has stopped
			s.report(event)
		}
	}()
	return call
}

// runFetch fetches a document, installs it, and schedules the next fetch.
func (s *Set) runFetch(call *fetchCall) (event Event) {
	want := Want{NoCache: call.noCache}
	if current := s.state.Load(); current != nil {
		want.Validator = current.validator
	}
	doc, err := s.safeFetch(want)
	if call.entered != nil {
		<-call.entered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		event, err = s.install(call, doc)
	}
	s.running = nil
	s.lastWasEmpty = errors.Is(err, errEmpty)
	if err != nil {
		call.err = err
		event.Err = err
		s.failures++
		if call.awaited && !s.lastWasEmpty {
			// Random, because the tokens of many issuers of one server must not
			// cause fetches at the same moment either.
			s.startInterval(call.began)
			s.intervalEnd = s.intervalEnd.Add(rand.N(s.cfg.UnknownInterval + 1))
		}
		s.schedule(s.retryPause())
		return event
	}
	event.Recovered = s.failures > 0
	s.failures = 0
	s.schedule(s.refreshPause(doc))
	return event
}

// safeFetch calls cfg.Fetch and returns a panic as an error: a panic in the
// caller's http.Client would end the process, because the goroutine of the fetch
// is ours.
func (s *Set) safeFetch(want Want) (doc Document, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in the HTTP client: %T", v)
		}
	}()
	return s.cfg.Fetch(s.ctx, want)
}

// report calls cfg.Report. A panic in the caller's logger must not end the
// process either.
func (s *Set) report(event Event) {
	defer func() { _ = recover() }()
	s.cfg.Report(event)
}

var (
	errEmpty       = errors.New("the server has withdrawn all keys; a second answer must confirm it")
	errNoUsableKey = errors.New("no usable key in the set")
)

// install makes doc the current state. The caller holds s.mu.
func (s *Set) install(call *fetchCall, doc Document) (Event, error) {
	if err := s.ctx.Err(); err != nil { // then stop has run
		return Event{}, err
	}
	before := s.state.Load()
	next := &state{fetched: call.began, published: call.began.Add(-doc.Age), validator: doc.Validator}
	if doc.Body == nil {
		if before == nil {
			return Event{}, errNoKeys
		}
		next.snapshot, next.validator, next.private = before.snapshot, before.validator, before.private
		s.state.Store(next)
		return Event{Keys: len(before.keys)}, nil
	}
	read, err := parseSet(doc.Body, s.cfg.MaxKeys)
	if err != nil {
		return Event{}, err
	}
	if err := s.checkNotEmpty(read, before); err != nil {
		return Event{}, err
	}
	event := read.event()
	var old *snapshot
	if before != nil {
		old = before.snapshot
		if before.private {
			event.Private = 0
		}
	}
	next.snapshot, next.private = old.replaceWith(read.keys), read.private > 0
	event.Changed = !sameKeys(old, next.snapshot)
	s.state.Store(next)
	return event, nil
}

// checkNotEmpty refuses a set without a usable key, unless the server has
// published an empty set twice in a row. One empty answer may be a mistake of the
// server, and would refuse every token. before is nil if there was no set before.
func (s *Set) checkNotEmpty(read *parsedSet, before *state) error {
	switch {
	case len(read.keys) > 0:
		return nil
	case read.skipped > 0:
		return errNoUsableKey
	case !s.lastWasEmpty && (before == nil || len(before.keys) > 0):
		return errEmpty
	default:
		return nil
	}
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

// refreshPause returns how long doc serves before the next scheduled fetch: for
// as long as the server states, within bounds, less the time that the document
// has spent in a cache (RFC 9111 §4.2).
func (s *Set) refreshPause(doc Document) time.Duration {
	d := s.cfg.RefreshInterval
	if doc.MaxAge >= 0 {
		d = min(max(doc.MaxAge-doc.Age, minMaxAge), maxMaxAge)
	}
	return fetch.RefreshPause(d)
}

// retryPause returns the pause after a failed fetch, which grows to half a
// minute. While there are no keys to serve with, it is at most the interval in
// which unknown keys would cause a fetch anyway.
func (s *Set) retryPause() time.Duration {
	longest := maxRetry
	if s.lastWasEmpty || s.Ready() != nil {
		longest = max(min(maxRetry, s.cfg.UnknownInterval), minRetry)
	}
	if s.lastWasEmpty { // a second answer at once would confirm nothing
		return longest
	}
	return fetch.RetryPause(s.failures, longest)
}

// schedule sets when refresh is called next. The caller holds s.mu.
func (s *Set) schedule(pause time.Duration) {
	if s.ctx.Err() == nil { // else stop sets the timer
		s.timer.Reset(pause)
	}
}

// refresh starts a scheduled fetch, unless a fetch is running, whose end
// schedules the next one. A set that finds its gate full tries again at a random
// time. It does not wait at the gate: all sets that wait there would fetch at the
// same moment.
func (s *Set) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		s.expireKeys()
		return
	}
	if s.running != nil {
		return
	}
	call := &fetchCall{}
	if gate := s.gate.Load(); gate != nil {
		select {
		case *gate <- struct{}{}:
			call.entered = *gate
		default:
			s.timer.Reset(fetch.RefreshPause(gateRetry))
			return
		}
	}
	s.startFetch(call)
}

// stop ends the refreshing. The keys serve until their next fetch would be due.
func (s *Set) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.expireKeys()
}

// expireKeys withdraws the keys of a stopped Set once they are too old, so that a
// cache drops the tokens that they have verified. Until then it schedules itself.
// The caller holds s.mu.
func (s *Set) expireKeys() {
	current := s.state.Load()
	switch {
	case current == nil:
	case s.isStale(current):
		current.withdraw()
	default:
		s.timer.Reset(current.fetched.Add(s.maxStale()).Sub(s.cfg.Now()) + 1)
	}
}
