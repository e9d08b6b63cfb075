package remote

import (
	"sync"
	"time"
)

// When an endpoint counts as down, and how long it is left alone.
const (
	failuresToOpen = 5
	timeToOpen     = 2 * time.Second
	minPause       = time.Second
	maxPause       = 30 * time.Second
)

// breaker leaves an endpoint alone that is down: requests fail at once instead
// of waiting for it, and it is not hammered when it comes back. It opens after
// some failures in a row, over some time, and lets one request through after a
// pause to see.
//
// Only the absence of an answer is a failure, so no token, whatever it makes
// the server do, opens it for the others as long as one of them is answered.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int       // in a row
	since    time.Time // the first of them
	pause    time.Duration
	opens    time.Time // when to let one through; zero: closed
	probing  bool
}

// say is what a call says of the endpoint.
type say int

const (
	saysNothing say = iota
	saysAlive
	saysDown
)

// turn is a call that may be made.
type turn struct{ probe bool }

// enter returns a turn, which ends in leave, or how long to wait for one.
func (b *breaker) enter() (turn, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opens.IsZero() {
		return turn{}, 0
	}
	// A wait that is longer than the pause is a clock that was set back.
	if wait := b.opens.Sub(b.now()); wait > 0 && wait <= b.pause {
		return turn{}, wait
	}
	if b.probing {
		return turn{}, minPause
	}
	b.probing = true
	return turn{probe: true}, 0
}

// leave ends a turn.
func (b *breaker) leave(t turn, said say) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.probe {
		b.probing = false
	}
	switch said {
	case saysAlive:
		b.failures, b.pause, b.opens = 0, 0, time.Time{}
	case saysDown:
		b.fail(t)
	case saysNothing:
	}
}

func (b *breaker) fail(t turn) {
	now := b.now()
	if b.failures == 0 {
		b.since = now
	}
	b.failures++
	switch {
	case b.failures < failuresToOpen || now.Sub(b.since) < timeToOpen:
	case !b.opens.IsZero() && !t.probe: // a call from before it opened
	default:
		b.pause = min(max(2*b.pause, minPause), maxPause)
		b.opens = now.Add(b.pause)
	}
}
