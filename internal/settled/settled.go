// Package settled derives a time from the readings of a wall clock by which it is safe
// to delete expired entries.
//
// A wall clock may be far ahead for a moment: before a machine that has just
// started is synchronised, or after a wrong answer of a time server. An
// entry that is deleted at that moment is lost.
package settled

import (
	"sync"
	"time"
)

// Clock derives a settled time from the readings of a wall clock: a time that
// each reading was at or after, for at least a period of monotonic time. The zero
// value is ready. A Clock is safe for concurrent use.
//
// The API is frozen: modules with versions of their own import it.
type Clock struct {
	mu      sync.Mutex
	began   time.Time // when the current period began, by the monotonic clock
	least   time.Time // the earliest reading since
	settled time.Time
}

// Observe records a reading of the wall clock and returns the settled time. That is
// zero until two readings are period apart, and at most 2 × period behind the wall
// clock if readings are frequent. If a reading is before the settled time, the settled
// time becomes that reading.
func (c *Clock) Observe(reading time.Time, period time.Duration) time.Time {
	reading = reading.Round(0) // without its monotonic reading, by which it would be compared
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.began.IsZero() {
		c.began, c.least = now, reading
	}
	if reading.Before(c.least) {
		c.least = reading
	}
	if reading.Before(c.settled) {
		c.settled = reading
	}
	if now.Sub(c.began) >= period {
		c.settled = c.least
		c.began, c.least = now, reading
	}
	return c.settled
}
