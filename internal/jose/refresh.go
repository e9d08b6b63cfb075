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

// Gate bounds how many scheduled fetches of the sets that share it run at once.
// It does not hold up a fetch that a token causes: requests wait for that one.
type Gate chan struct{}

// Share makes s fetch within gate from now on.
func (s *Set) Share(gate Gate) { s.gate.Store(&gate) }

// ask returns a round to wait for and whether it is the caller's own, begun
// after the call; or nil, if unknown keys have asked within the interval. A
// caller that has not tried the newest keys need wait for nothing.
func (s *Set) ask(tried *state) (r *round, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != tried {
		return ended, false
	}
	if s.running != nil {
		s.running.awaited = true
		return s.running, false
	}
	now := s.cfg.Now()
	// A clock that was set back must not lock out the keys until it has caught up.
	recent := !s.asked.IsZero() && now.Before(s.slot) && !now.Before(s.asked)
	if s.ctx.Err() != nil || recent {
		return nil, false
	}
	s.takeSlot(now)
	return s.begin(&round{noCache: true, awaited: true}), true
}

// takeSlot allows no fetch for a token within an interval from now on. s.mu is held.
func (s *Set) takeSlot(now time.Time) { s.asked, s.slot = now, now.Add(s.cfg.UnknownInterval) }

// ended is a round that has brought what there is.
var ended = func() *round {
	r := &round{done: make(chan struct{})}
	close(r.done)
	return r
}()

// begin starts a fetch. s.mu is held, and none is running.
func (s *Set) begin(r *round) *round {
	r.done, r.began = make(chan struct{}), s.cfg.Now()
	s.running = r
	go func() {
		event := s.run(r)
		close(r.done)
		if s.ctx.Err() == nil { // or it has failed because nothing needs it any more
			s.report(event)
		}
	}()
	return r
}

// run fetches, installs the document, and schedules the next fetch.
func (s *Set) run(r *round) (event Event) {
	want := Want{NoCache: r.noCache}
	if now := s.state.Load(); now != nil {
		want.Validator = now.validator
	}
	doc, err := s.safeFetch(want)
	if r.slot != nil {
		<-r.slot
	}
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
		if r.awaited && !s.emptyOnce { // tokens must not ask many issuers of one server in step, either
			s.takeSlot(r.began)
			s.slot = s.slot.Add(rand.N(s.cfg.UnknownInterval + 1))
		}
		s.schedule(s.retryPause())
		return event
	}
	event.Recovered = s.failures > 0
	s.failures = 0
	s.schedule(s.refreshPause(doc))
	return event
}

// safeFetch keeps a panic in a caller's http.Client from ending the process:
// nothing else could recover it.
func (s *Set) safeFetch(want Want) (doc Document, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("jose: panic in the HTTP client: %T", v)
		}
	}()
	return s.cfg.Fetch(s.ctx, want)
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
	if err := s.ctx.Err(); err != nil { // and end has run
		return Event{}, err
	}
	before := s.state.Load()
	next := &state{fetched: r.began, published: r.began.Add(-doc.Age), validator: doc.Validator}
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
	if len(read.keys) == 0 && read.skipped > 0 {
		return Event{}, errUnusable
	}
	if len(read.keys) == 0 && !s.emptyOnce && (before == nil || len(before.keys) > 0) {
		// Once may be a slip, and it would refuse everybody.
		return Event{}, errEmpty
	}
	event := read.event()
	var old *snapshot
	if before != nil {
		old = before.snapshot
		if before.private {
			event.Private = 0
		}
	}
	next.snapshot, next.private = old.replace(read.keys), read.private > 0
	event.Changed = !sameKeys(old, next.snapshot)
	s.state.Store(next)
	return event, nil
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

// retryPause grows to half a minute, but while there are no keys to serve with,
// not beyond the interval in which unknown keys would cause a fetch anyway.
func (s *Set) retryPause() time.Duration {
	longest := maxRetry
	if s.emptyOnce || s.Ready() != nil {
		longest = max(min(maxRetry, s.cfg.UnknownInterval), minRetry)
	}
	if s.emptyOnce { // a second answer at once would confirm nothing
		return longest
	}
	return fetch.RetryPause(s.failures, longest)
}

// schedule sets when refresh is called next. s.mu is held.
func (s *Set) schedule(pause time.Duration) {
	if s.ctx.Err() == nil { // else it is set by end
		s.timer.Reset(pause)
	}
}

// refresh begins a scheduled fetch, unless one is under way, whose end schedules
// the next. A set that finds its gate full comes back at a random time: it does
// not wait at the gate, where sets that wait would all go on together.
func (s *Set) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		s.expire()
		return
	}
	if s.running != nil {
		return
	}
	r := &round{}
	if gate := s.gate.Load(); gate != nil {
		select {
		case *gate <- struct{}{}:
			r.slot = *gate
		default:
			s.timer.Reset(fetch.RefreshPause(gateRetry))
			return
		}
	}
	s.begin(r)
}

// end stops the refreshing. The keys serve on until they are due to be fetched.
func (s *Set) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.expire()
}

// expire withdraws keys that are no longer refreshed, so that a cache drops what
// they have verified, once they are too old; until then it schedules itself.
func (s *Set) expire() {
	now := s.state.Load()
	switch {
	case now == nil:
	case s.stale(now):
		now.withdraw()
	default:
		s.timer.Reset(now.fetched.Add(s.maxStale()).Sub(s.cfg.Now()) + 1)
	}
}
