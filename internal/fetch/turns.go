package fetch

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// turns decides which calls of a [Client] are under way. A turn is the right to
// have one. The rules:
//
//  1. At most limit calls are under way; limit is most, unless rule 4 lowered it.
//     Others wait for a quarter of timeout, in the order of arrival. A call is
//     refused at once while the queue stands: it is a round long (as many as
//     limit), and its first has waited for a quarter of that time.
//  2. The time of a call, timeout, begins with its turn. The wait is not taken off:
//     a call with less time than the server needs is work for nothing.
//  3. While others wait, a call gives way if it is twice as old as any recent answer
//     was when it came, and the server is alive: it has answered a call that was sent
//     later, or any call within the last sixteenth of timeout. So the calls on
//     which a server hangs do not keep the others out. No call to a slow server
//     gives way, since its recent answers took long; nor to one that stalls, since
//     it is not alive.
//  4. A call whose whole time ends without an answer shows that the server has more
//     to do than it can do within timeout, if it does answer, but no call that was
//     sent later was answered quickly: within half of timeout. Most servers do not
//     notice that a client has gone, and would soon work for clients that have gone
//     alone. limit is then set to half of the number of answers within the last
//     timeout, so that calls take half of timeout (Little's law). Each quick answer
//     raises limit by an eighth, and so does a round of slow answers.
type turns struct {
	most    int
	timeout time.Duration

	mu      sync.Mutex
	limit   float64
	lowered time.Time
	running list.List // of *Turn, in the order in which they began
	leaving int       // turns that gave way and have not ended yet
	waiting list.List // of *place
	last    time.Time // when the last answer came
	newest  time.Time // the latest beginning of a call that was answered
	quick   time.Time // the same, of those that were answered quickly
	answers window
}

// minAge is the least age at which a call gives way.
const minAge = 10 * time.Millisecond

// Errors of a call that had no turn, or lost it.
var (
	// ErrBusy: too many calls are under way, and wait.
	ErrBusy = errors.New("fetch: too many calls under way")
	// ErrGaveWay: the call had no answer, and was ended for one that waited.
	ErrGaveWay = errors.New("ended, because the server answers others, and others wait")
)

// Turn is the right to have one call under way, from [Client.Take] to [Turn.End].
// It is not safe for concurrent use.
type Turn struct {
	client   *Client
	ctx      context.Context
	cancel   context.CancelCauseFunc
	stop     context.CancelFunc
	began    time.Time
	answered bool
	element  *list.Element // of turns.running; nil: not in it. Under turns.mu
	gaveWay  bool          // under turns.mu
}

// place is a place in the queue.
type place struct {
	ctx   context.Context
	since time.Time
	turn  *Turn         // set before ready is closed
	ready chan struct{} // closed when there is a turn
}

// Take waits for a turn. It returns [ErrBusy] if there is none in time, or the
// error of ctx. The caller must call End.
func (c *Client) Take(ctx context.Context) (*Turn, error) {
	s := &c.turns
	p, element := s.enter(ctx, time.Now())
	if p == nil {
		return nil, ErrBusy
	}
	err := s.wait(ctx, p)
	if t := s.leave(p, element); t != nil {
		t.client = c
		return t, nil
	}
	return nil, err
}

// Beside returns a turn at once, beside those that are limited. The caller must
// call End.
func (c *Client) Beside(ctx context.Context) *Turn {
	t := c.turns.begin(ctx, time.Now())
	t.client = c
	return t
}

// End ends the turn. The time until then counts as that of the answer.
func (t *Turn) End() {
	t.stop()
	t.cancel(nil)
	t.client.turns.end(t, time.Now())
}

// Ended reports whether the time of the turn has ended, by itself or by the
// context, or the turn gave way.
func (t *Turn) Ended() bool { return t.ctx.Err() != nil }

// Crowded returns zero if no call waits for a turn. Otherwise it returns how long
// the server may be silent before that is unusual.
func (c *Client) Crowded() time.Duration {
	s := &c.turns
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting.Len() == 0 {
		return 0
	}
	return max(2*s.answers.longest(), s.timeout/16)
}

// enter joins the queue and moves it on. It returns nil if the call is refused.
func (s *turns) enter(ctx context.Context, now time.Time) (*place, *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stands(now) {
		return nil, nil
	}
	p := &place{ctx: ctx, since: now, ready: make(chan struct{})}
	element := s.waiting.PushBack(p)
	s.move(now)
	return p, element
}

// wait returns when there is a turn, or none in time. It moves the queue on now and
// then: a call becomes old enough to give way without an event.
func (s *turns) wait(ctx context.Context, p *place) error {
	const times = 8
	tick := time.NewTicker(max(s.timeout/4/times, time.Millisecond))
	defer tick.Stop()
	for range times {
		select {
		case <-p.ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			s.mu.Lock()
			s.move(now)
			s.mu.Unlock()
		}
	}
	return ErrBusy
}

// leave leaves the queue, with the turn that p has been given, or nil. If the wait
// ended at the moment at which there was a turn, the turn holds.
func (s *turns) leave(p *place, element *list.Element) *Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.turn == nil {
		s.waiting.Remove(element)
	}
	return p.turn
}

// stands reports whether the queue is long and does not move (rule 1).
func (s *turns) stands(now time.Time) bool {
	first := s.waiting.Front()
	return first != nil && s.waiting.Len() >= int(s.limit) && now.Sub(first.Value.(*place).since) >= s.timeout/16
}

// move gives turns to those that wait, while there are any, and then makes as many
// calls give way as still wait. The turn of such a call is free when the call has
// ended, so that no more than limit are ever under way.
func (s *turns) move(now time.Time) {
	for s.waiting.Len() > 0 && s.running.Len()+s.leaving < int(s.limit) {
		p := s.waiting.Remove(s.waiting.Front()).(*place)
		p.turn = s.begin(p.ctx, now)
		p.turn.element = s.running.PushBack(p.turn)
		close(p.ready)
	}
	for s.leaving < s.waiting.Len() && s.running.Len() > 0 {
		oldest := s.running.Front().Value.(*Turn)
		if !s.givesWay(oldest, now) {
			return
		}
		s.running.Remove(oldest.element)
		oldest.element, oldest.gaveWay = nil, true
		s.leaving++
		oldest.cancel(ErrGaveWay)
	}
}

func (s *turns) begin(ctx context.Context, now time.Time) *Turn {
	t := &Turn{began: now}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.ctx, t.stop = context.WithTimeout(t.ctx, s.timeout)
	return t
}

// givesWay is rule 3.
func (s *turns) givesWay(t *Turn, now time.Time) bool {
	alive := s.overtaken(t) || now.Sub(s.last) <= s.timeout/16
	return alive && now.Sub(t.began) >= max(2*s.answers.longest(), minAge)
}

// overtaken reports whether a call that was sent after t has been answered.
func (s *turns) overtaken(t *Turn) bool { return t.began.Before(s.newest) }

// end takes t off, learns from how it ended, and moves the queue on.
func (s *turns) end(t *Turn, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.answered {
		s.answer(t, now)
	} else if t.element != nil {
		s.silence(t, now)
	}
	if t.element != nil {
		s.running.Remove(t.element)
	} else if t.gaveWay {
		s.leaving--
	}
	s.move(now)
}

// answer learns from an answer to t.
func (s *turns) answer(t *Turn, now time.Time) {
	took := now.Sub(t.began)
	s.last = now
	if t.began.After(s.newest) {
		s.newest = t.began
	}
	s.answers.add(took, now, s.timeout)
	step := 1.0 / 8
	if took > s.timeout/2 {
		step /= s.limit
	} else if t.began.After(s.quick) {
		s.quick = t.began
	}
	s.limit = min(s.limit+step, float64(s.most))
}

// silence is rule 4. A call that began before limit was lowered proves nothing new.
func (s *turns) silence(t *Turn, now time.Time) {
	if now.Sub(t.began) < s.timeout || t.began.Before(s.quick) || !t.began.After(s.lowered) {
		return
	}
	if n := s.answers.count(now, s.timeout); n > 0 {
		s.limit, s.lowered = max(min(s.limit, n/2), 1), now
	}
}

// window counts recent answers: those of a span of time that has not ended, and
// those of the span before.
type window struct {
	began    time.Time
	now, old struct {
		n       int
		longest time.Duration
	}
}

// turn begins the span that at lies in.
func (w *window) turn(at time.Time, span time.Duration) {
	switch age := at.Sub(w.began); {
	case age >= 2*span:
		*w = window{began: at}
	case age >= span:
		*w = window{began: w.began.Add(span), old: w.now}
	}
}

func (w *window) add(took time.Duration, at time.Time, span time.Duration) {
	w.turn(at, span)
	w.now.n++
	w.now.longest = max(w.now.longest, took)
}

// longest returns the longest time that an answer took.
func (w *window) longest() time.Duration { return max(w.now.longest, w.old.longest) }

// count returns about how many answers came in the last span.
func (w *window) count(at time.Time, span time.Duration) float64 {
	w.turn(at, span)
	return float64(w.now.n) + float64(w.old.n)*(1-float64(at.Sub(w.began))/float64(span))
}
