package fetch

import (
	"math/rand/v2"
	"time"
)

// firstRetry is the longest pause after one failure.
const firstRetry = 2 * time.Second

// RetryPause returns the pause before the next attempt, after failures failed
// attempts in a row, at least one. The pause doubles with each failure, up to
// longest. Three quarters of it are random: many clients of one server that is down
// must not all try again at the same moment.
func RetryPause(failures int, longest time.Duration) time.Duration {
	d := min(firstRetry<<min(failures-1, 10), longest)
	return d/4 + rand.N(d-d/4+1)
}

// RefreshPause returns the pause before a document is fetched again: a random time
// in the second half of interval, so that documents that were fetched at the same
// time are not refreshed at the same time.
func RefreshPause(interval time.Duration) time.Duration {
	return interval/2 + rand.N(interval-interval/2+1)
}
