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

// enter returns zero if the call may be made, which then ends in report or
// leave; otherwise how long to wait.
func (b *breaker) enter() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opens.IsZero() {
		return 0
	}
	if wait := b.opens.Sub(b.now()); wait > 0 {
		return wait
	}
	if b.probing {
		return minPause
	}
	b.probing = true
	return 0
}

// leave ends a call that says nothing of the endpoint.
func (b *breaker) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// report ends a call: there was an answer, or there was none.
func (b *breaker) report(answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if answered {
		b.failures, b.pause, b.opens = 0, 0, time.Time{}
		return
	}
	now := b.now()
	if b.failures == 0 {
		b.since = now
	}
	b.failures++
	if b.failures < failuresToOpen || now.Sub(b.since) < timeToOpen {
		return
	}
	if now.Before(b.opens) { // a call from before it opened
		return
	}
	b.pause = min(max(2*b.pause, minPause), maxPause)
	b.opens = now.Add(b.pause)
}
