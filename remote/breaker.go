package remote

import (
	"sync"
	"time"
)

// breaker refuses requests while the endpoint is down, so that they do not wait
// for it in vain. Its rules:
//
//  1. A sign of life is any answer but 502, 503 and 504, which a gateway sends when
//     the server does not answer. A 500 is one: some servers answer it to a forged
//     token.
//  2. If there has been none for quiet since a call was sent, the next request also
//     sends a probe: a question about a token that is made for it. Anybody can send
//     tokens on which a server hangs, but no client chooses the token of a probe. A
//     probe has the whole Timeout, also if the caller has less. While requests wait
//     for their turn, a shorter silence is unusual, and a probe is sent earlier.
//  3. If a probe fails, and there is still no sign of life after quiet, the breaker
//     opens. All requests are then refused at once, except one every pause: the
//     trial. It is sent, and a probe beside it: a server may hang on tokens that it
//     does not know.
//  4. A sign of life, whichever call brought it, closes the breaker.
//
// So a hang is found out within quiet and Timeout, and an endpoint that is back is
// found within pause, however long it was away. The clock is the monotonic one:
// the wall clock may be set.
type breaker struct {
	quiet time.Duration

	mu      sync.Mutex
	silent  time.Time // when the first call after the last sign of life was sent; zero: no call was
	probed  time.Time // when the last probe, or trial, was due
	probing int       // probes that are under way
	open    bool
}

const (
	maxQuiet = 2 * time.Second
	pause    = 2 * time.Second
	// maxProbes bounds the probes that are under way at once.
	maxProbes = 3
)

func newBreaker(timeout time.Duration) *breaker {
	return &breaker{quiet: min(maxQuiet, timeout/2)}
}

// arrive returns how long to wait if the request is refused. Otherwise due reports
// whether to send a probe; the request is then the trial, if the breaker is open.
// unusual is the length of an unusual silence while requests wait for their turn,
// and zero if none waits.
func (b *breaker) arrive(unusual time.Duration) (due bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.open {
		if wait := b.next(now); wait > 0 {
			return false, wait
		}
		b.probed = now
		return true, 0
	}
	quiet := b.quiet
	if unusual > 0 {
		quiet = min(quiet, unusual)
	}
	if b.silent.IsZero() || now.Sub(b.silent) < quiet || b.probing > 0 && now.Sub(b.probed) < b.quiet {
		return false, 0
	}
	b.probed = now
	return true, 0
}

// next returns how long it is until the next trial.
func (b *breaker) next(now time.Time) time.Duration { return b.probed.Add(pause).Sub(now) }

// send notes that a request is sent, or returns how long to wait if it is refused:
// the breaker may have opened while the request waited for its turn.
func (b *breaker) send(trial bool) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.open && !trial {
		return max(b.next(now), minRetryAfter)
	}
	if b.silent.IsZero() {
		b.silent = now
	}
	return 0
}

// unsent notes that the trial could not be sent: the next request may be.
func (b *breaker) unsent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probed = time.Time{}
}

// live notes a sign of life.
func (b *breaker) live() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent, b.open = time.Time{}, false
}

// beginProbe reports whether a probe may be sent; it then ends in endProbe.
func (b *breaker) beginProbe() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing == maxProbes {
		return false
	}
	b.probing++
	return true
}

// endProbe notes that a probe, sent at a time, has ended, and whether it failed.
func (b *breaker) endProbe(sent time.Time, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing--
	if failed && !b.silent.IsZero() && !b.silent.After(sent) && time.Since(b.silent) >= b.quiet {
		b.open = true
	}
}
