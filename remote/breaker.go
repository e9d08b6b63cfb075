package remote

import (
	"sync"
	"time"
)

// breaker refuses requests while the endpoint is down, so that they do not wait
// for it in vain. Its rules:
//
//  1. A sign of life is any answer except 502, 503 and 504, which a gateway sends if
//     the server does not answer. A 500 is a sign of life: some servers answer a
//     forged token with a 500.
//  2. If maxSilence has passed since a call was sent, without a sign of life, the next
//     request also sends a probe: a question about a random token, made for this
//     probe. Any client can send tokens on which a server hangs, but no client can
//     choose the token of a probe. A probe has the whole Timeout, even if the caller
//     has less. While requests wait for their turn, a shorter silence is unusual, and
//     a probe is sent earlier.
//  3. If a probe fails, and there is still no sign of life after maxSilence, the
//     breaker opens. It then refuses all requests at once, except one in every
//     trialInterval: the trial. The trial is sent, and a probe beside it, because a
//     server may hang on tokens that it does not know.
//  4. A sign of life closes the breaker, regardless of the call that brought it.
//
// So the breaker detects an endpoint that hangs within maxSilence and Timeout, and
// an endpoint that is back within trialInterval, however long it was away. The
// breaker uses the monotonic clock, because the wall clock may be set.
type breaker struct {
	maxSilence time.Duration

	mu           sync.Mutex
	silentSince  time.Time // when the first call after the last sign of life was sent; zero: no call was
	probedAt     time.Time // when the last probe, or trial, was due
	activeProbes int       // probes in flight
	open         bool
}

const (
	longestSilence = 2 * time.Second
	trialInterval  = 2 * time.Second
	// maxProbes bounds the probes in flight.
	maxProbes = 3
)

func newBreaker(timeout time.Duration) *breaker {
	return &breaker{maxSilence: min(longestSilence, timeout/2)}
}

// admit decides about a request. If the request is refused, it returns how long the
// client must wait. Otherwise wait is zero, and probe reports whether to send a
// probe too; if the breaker is open, the request is then the trial. unusual is the
// length of an unusual silence while requests wait for their turn, and zero if no
// request waits.
func (b *breaker) admit(unusual time.Duration) (probe bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.open {
		if wait := b.untilTrial(now); wait > 0 {
			return false, wait
		}
		b.probedAt = now
		return true, 0
	}
	silence := b.maxSilence
	if unusual > 0 {
		silence = min(silence, unusual)
	}
	recent := b.activeProbes > 0 && now.Sub(b.probedAt) < b.maxSilence
	if b.silentSince.IsZero() || now.Sub(b.silentSince) < silence || recent {
		return false, 0
	}
	b.probedAt = now
	return true, 0
}

// untilTrial returns the time until the next trial.
func (b *breaker) untilTrial(now time.Time) time.Duration {
	return b.probedAt.Add(trialInterval).Sub(now)
}

// markSent records that a request is sent and returns zero, or refuses the request
// and returns how long the client must wait: the breaker may have opened while the
// request waited for its turn.
func (b *breaker) markSent(trial bool) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.open && !trial {
		return max(b.untilTrial(now), minRetryAfter)
	}
	if b.silentSince.IsZero() {
		b.silentSince = now
	}
	return 0
}

// markTrialUnsent records that the trial could not be sent. The next request may
// then be the trial.
func (b *breaker) markTrialUnsent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probedAt = time.Time{}
}

// markAlive records a sign of life.
func (b *breaker) markAlive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silentSince, b.open = time.Time{}, false
}

// beginProbe reports whether a probe may be sent. If so, the caller must call
// endProbe.
func (b *breaker) beginProbe() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.activeProbes == maxProbes {
		return false
	}
	b.activeProbes++
	return true
}

// endProbe records the end of a probe that was sent at sent, and whether it failed.
func (b *breaker) endProbe(sent time.Time, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.activeProbes--
	silent := !b.silentSince.IsZero() && !b.silentSince.After(sent)
	if failed && silent && time.Since(b.silentSince) >= b.maxSilence {
		b.open = true
	}
}
