package fetch

import (
	"math/rand/v2"
	"time"
)

const firstRetry = 2 * time.Second

// RetryPause returns the pause before the next attempt at what has failed
// failures times in a row, at least once. The pause doubles with each failure,
// up to longest, and three quarters of it are random: many clients of one
// server that is down must not all come back in the same moment.
func RetryPause(failures int, longest time.Duration) time.Duration {
	d := min(firstRetry<<min(failures-1, 10), longest)
	return d/4 + rand.N(d-d/4+1)
}

// RefreshPause returns the pause before what is at hand is fetched again: a
// random time in the second half of interval, so that what was fetched together
// is not refreshed together.
func RefreshPause(interval time.Duration) time.Duration {
	return interval/2 + rand.N(interval-interval/2+1)
}
