package fetch

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// turns decides which calls of a [Client] are in flight. A turn is the right to have
// one call in flight. The rules:
//
//  1. At most limit calls are in flight; limit is maximum, unless rule 4 lowered it.
//     Other calls wait for a quarter of timeout, in the order of arrival. A call is
//     refused at once while the queue is stalled: at least as many calls wait as
//     limit, and the first of them has waited for a quarter of that time, which is
//     a sixteenth of timeout.
//  2. The time of a call, timeout, begins with its turn. The wait is not subtracted:
//     a call that has less time than the server needs makes the server work in vain.
//  3. While other calls wait, a call gives way if it is twice as old as the oldest
//     call with a recent answer was at its answer, and the server is alive: the
//     server has answered a call that was sent later, or any call within the last
//     sixteenth of timeout. So calls on which a server hangs do not keep the others
//     out. No call to a slow server gives way, because its recent answers took long.
//     No call to a server that stalls gives way, because the server is not alive.
//  4. If the whole time of a call ends without an answer, the server has more work
//     than it can do within timeout, on two conditions: the server answers other
//     calls, and it answered no call that was sent later quickly, which means within
//     half of timeout. Most servers do not notice that a client has gone, and would
//     soon work only for clients that have gone. So limit is then set to half of the
//     number of answers within the last timeout, which makes a call take half of
//     timeout (Little's law). Each quick answer raises limit by an eighth; limit slow
//     answers together do the same.
type turns struct {
	maximum int
	timeout time.Duration

	mu             sync.Mutex
	limit          float64
	loweredAt      time.Time // when rule 4 last lowered limit
	running        list.List // of *Turn, in the order in which they began
	ending         int       // turns that gave way and have not ended yet
	waiting        list.List // of *waiter
	lastAnswer     time.Time // when the last answer came
	newestAnswered time.Time // when the newest call with an answer began
	newestQuick    time.Time // when the newest call with a quick answer began
	answers        window
}

// minAge is the least age at which a call gives way.
const minAge = 10 * time.Millisecond

// The errors of a call that had no turn, or lost it.
var (
	// ErrBusy is returned if a call gets no turn in time: too many others are in
	// flight, and wait.
	ErrBusy = errors.New("too many calls in flight")
	// ErrGaveWay is returned if a call had no answer, and was ended for another call
	// that waited.
	ErrGaveWay = errors.New("ended, because the server answers other calls, and others wait")
)

// Turn is the right to have one call in flight, from [Client.Take] to [Turn.End].
// It is not safe for concurrent use.
type Turn struct {
	client   *Client
	ctx      context.Context
	cancel   context.CancelFunc
	began    time.Time
	answered bool
	element  *list.Element // in turns.running, or nil; guarded by turns.mu
	gaveWay  atomic.Bool   // set under turns.mu, before cancel
}

// waiter is a call in the queue.
type waiter struct {
	ctx   context.Context
	since time.Time
	turn  *Turn         // set before ready is closed
	ready chan struct{} // closed when turn is set
}

// Take blocks until the call has a turn, and returns the turn. It returns [ErrBusy]
// if no turn is free in time, or the error of ctx. The caller must call End.
func (c *Client) Take(ctx context.Context) (*Turn, error) {
	s := &c.turns
	now := time.Now()
	if t := s.tryBegin(ctx, now); t != nil {
		t.client = c
		return t, nil
	}
	p, element := s.enqueue(ctx, now)
	if p == nil {
		return nil, ErrBusy
	}
	err := s.wait(ctx, p)
	if t := s.dequeue(p, element); t != nil {
		t.client = c
		return t, nil
	}
	return nil, err
}

// TakeExtra returns a turn at once, in addition to the limited ones. The caller must
// call End.
func (c *Client) TakeExtra(ctx context.Context) *Turn {
	t := c.turns.begin(ctx, time.Now())
	t.client = c
	return t
}

// End ends the turn. The time from its beginning to End counts as the time that the
// answer took.
func (t *Turn) End() {
	t.cancel()
	t.client.turns.finish(t, time.Now())
}

// Ended reports whether the time or the context of the turn has ended, or the turn
// gave way.
func (t *Turn) Ended() bool { return t.ctx.Err() != nil }

// UnusualSilence returns the length of a silence of the server that is unusual while
// calls wait for a turn, or zero if no call waits.
func (c *Client) UnusualSilence() time.Duration {
	s := &c.turns
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting.Len() == 0 {
		return 0
	}
	return max(2*s.answers.longest(), s.timeout/16)
}

// enqueue appends a call to the queue and advances the queue. It returns nil if the
// call is refused.
func (s *turns) enqueue(ctx context.Context, now time.Time) (*waiter, *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isStalled(now) {
		return nil, nil
	}
	p := &waiter{ctx: ctx, since: now, ready: make(chan struct{})}
	element := s.waiting.PushBack(p)
	s.advance(now)
	return p, element
}

// wait blocks until p has a turn (nil), a quarter of timeout has passed ([ErrBusy]),
// or ctx ends. It advances the queue at intervals, because no event occurs at the
// moment when a call becomes old enough to give way.
func (s *turns) wait(ctx context.Context, p *waiter) error {
	const ticks = 8
	tick := time.NewTicker(max(s.timeout/4/ticks, time.Millisecond))
	defer tick.Stop()
	for range ticks {
		select {
		case <-p.ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			s.mu.Lock()
			s.advance(now)
			s.mu.Unlock()
		}
	}
	return ErrBusy
}

// dequeue removes p from the queue and returns its turn, or nil. If p got a turn at
// the moment when its wait ended, it keeps the turn.
func (s *turns) dequeue(p *waiter, element *list.Element) *Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.turn == nil {
		s.waiting.Remove(element)
	}
	return p.turn
}

// isStalled reports whether the queue is long and does not advance (rule 1).
func (s *turns) isStalled(now time.Time) bool {
	first := s.waiting.Front()
	return first != nil && s.waiting.Len() >= int(s.limit) && now.Sub(first.Value.(*waiter).since) >= s.timeout/16
}

// advance gives turns to waiting calls while turns are free, and then makes as many
// calls give way as still wait. The turn of such a call becomes free when the call
// has ended, so that never more than limit calls are in flight.
func (s *turns) advance(now time.Time) {
	for s.waiting.Len() > 0 && s.hasFree() {
		p := s.waiting.Remove(s.waiting.Front()).(*waiter)
		p.turn = s.begin(p.ctx, now)
		p.turn.element = s.running.PushBack(p.turn)
		close(p.ready)
	}
	for s.ending < s.waiting.Len() && s.running.Len() > 0 {
		oldest := s.running.Front().Value.(*Turn)
		if !s.givesWay(oldest, now) {
			return
		}
		s.running.Remove(oldest.element)
		oldest.element = nil
		oldest.gaveWay.Store(true)
		s.ending++
		oldest.cancel()
	}
}

// tryBegin returns a turn if one is free and no call waits for it, and nil otherwise.
func (s *turns) tryBegin(ctx context.Context, now time.Time) *Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting.Len() > 0 || !s.hasFree() {
		return nil
	}
	t := s.begin(ctx, now)
	t.element = s.running.PushBack(t)
	return t
}

// hasFree reports whether a turn is free.
func (s *turns) hasFree() bool { return s.running.Len()+s.ending < int(s.limit) }

// begin returns a turn whose time begins now.
func (s *turns) begin(ctx context.Context, now time.Time) *Turn {
	t := &Turn{began: now}
	t.ctx, t.cancel = context.WithTimeout(ctx, s.timeout)
	return t
}

// givesWay reports whether t must give way to a call that waits (rule 3).
func (s *turns) givesWay(t *Turn, now time.Time) bool {
	alive := s.overtaken(t) || now.Sub(s.lastAnswer) <= s.timeout/16
	return alive && now.Sub(t.began) >= max(2*s.answers.longest(), minAge)
}

// overtaken reports whether a call that was sent after t has been answered.
func (s *turns) overtaken(t *Turn) bool { return t.began.Before(s.newestAnswered) }

// finish removes t, adapts limit to the end of t, and advances the queue.
func (s *turns) finish(t *Turn, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.answered {
		s.recordAnswer(t, now)
	} else if t.element != nil {
		s.recordTimeout(t, now)
	}
	if t.element != nil {
		s.running.Remove(t.element)
	} else if t.gaveWay.Load() {
		s.ending--
	}
	s.advance(now)
}

// recordAnswer records an answer to t, and raises limit (rule 4).
func (s *turns) recordAnswer(t *Turn, now time.Time) {
	took := now.Sub(t.began)
	s.lastAnswer = now
	if t.began.After(s.newestAnswered) {
		s.newestAnswered = t.began
	}
	s.answers.add(took, now, s.timeout)
	step := 1.0 / 8
	if took > s.timeout/2 {
		step /= s.limit
	} else if t.began.After(s.newestQuick) {
		s.newestQuick = t.began
	}
	s.limit = min(s.limit+step, float64(s.maximum))
}

// recordTimeout lowers limit if the whole time of t ended without an answer (rule 4).
// A call that began before limit was lowered proves nothing new.
func (s *turns) recordTimeout(t *Turn, now time.Time) {
	if now.Sub(t.began) < s.timeout || t.began.Before(s.newestQuick) || !t.began.After(s.loweredAt) {
		return
	}
	if n := s.answers.count(now, s.timeout); n > 0 {
		s.limit, s.loweredAt = max(min(s.limit, n/2), 1), now
	}
}

// window counts recent answers: those of the current span of time, and those of the
// span before it.
type window struct {
	began             time.Time
	current, previous struct {
		n       int
		longest time.Duration
	}
}

// roll makes the span that contains at the current one.
func (w *window) roll(at time.Time, span time.Duration) {
	switch age := at.Sub(w.began); {
	case age >= 2*span:
		*w = window{began: at}
	case age >= span:
		*w = window{began: w.began.Add(span), previous: w.current}
	}
}

// add counts an answer that came at at and took took.
func (w *window) add(took time.Duration, at time.Time, span time.Duration) {
	w.roll(at, span)
	w.current.n++
	w.current.longest = max(w.current.longest, took)
}

// longest returns the longest time that a counted answer took.
func (w *window) longest() time.Duration { return max(w.current.longest, w.previous.longest) }

// count returns the approximate number of answers within the time span before at.
func (w *window) count(at time.Time, span time.Duration) float64 {
	w.roll(at, span)
	return float64(w.current.n) + float64(w.previous.n)*(1-float64(at.Sub(w.began))/float64(span))
}
