// Package doubling tests that the cost of an input is linear: it is for tests
// of everything that reads the bytes of a stranger.
package doubling

import (
	"math"
	"runtime"
	"sync"
	"time"
)

// MaxRatio is how many times as long an input of twice the size may take. A
// linear cost gives 2, a quadratic one 4. The rest is for noise and for caches
// of the processor, which larger inputs outgrow.
const MaxRatio = 2.6

const (
	minRounds = 3                // before a result is accepted: one slow run of the smaller input must not hide a square
	maxRounds = 50               // before a result is refused: a busy machine must not fail a test
	quadratic = 3.5              // a ratio that more rounds do not mend
	maxTime   = 10 * time.Second // after which no round begins, but for the first minRounds
	// minRun is how long one measurement takes at least: long enough for the
	// garbage collector to run, where there is garbage.
	minRun = 2 * time.Millisecond
	// slow is how long one call may take for a sixteenth of the input. If it takes
	// longer, that size is checked first: with a square, all of the input would
	// take minutes.
	slow = 20 * time.Millisecond
)

// T is the part of testing.TB that a check needs.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Linear fails t if the work for an input takes more than MaxRatio times as long
// when the input becomes twice as large, on average from a quarter of the size
// most to most. most is the largest input that a stranger can send, in whatever
// unit suits the test. prepare builds an input and returns the work, which must
// do the same each time it is called, in the goroutine that calls it. Under the
// race detector Linear stops at an eighth of most.
//
// Linear compares the fastest of several runs, on Linux by the time of the
// processor alone, so that the result is the same on a busy machine and beside
// other tests.
func Linear(t T, most int, prepare func(size int) (work func())) {
	t.Helper()
	one.Lock()
	defer one.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	most /= share
	if run(prepare(most/16), 1) < float64(slow) || check(t, most/16, prepare) {
		check(t, most, prepare)
	}
}

// check compares size with a quarter of it: two doublings, because one of them
// may be that which outgrows a cache.
func check(t T, size int, prepare func(size int) (work func())) bool {
	t.Helper()
	perQuarter, perWhole := fastest(prepare(size/4), prepare(size))
	ratio := math.Sqrt(perWhole / perQuarter)
	t.Logf("size %d: %.0f ns; size %d: %.0f ns; ratio of a doubling %.2f", size/4, perQuarter, size, perWhole, ratio)
	if ratio > MaxRatio {
		t.Errorf("twice the size, up to %d, takes %.2f times as long; want at most %.1f", size, ratio, MaxRatio)
	}
	return ratio <= MaxRatio
}

// one is held by a check that measures: two would share the processor's caches.
var one sync.Mutex

// fastest returns the shortest times of a call, in nanoseconds. The quarter is
// called four times as often, so that both leave the same amount of garbage.
func fastest(quarter, whole func()) (perQuarter, perWhole float64) {
	runtime.GC() // other tests leave garbage, which is collected at the expense of those that allocate
	start, times := time.Now(), repetitions(whole)
	perQuarter, perWhole = math.MaxFloat64, math.MaxFloat64
	for round := 1; round <= maxRounds; round++ {
		perQuarter = min(perQuarter, run(quarter, 4*times))
		perWhole = min(perWhole, run(whole, times))
		square := perWhole / perQuarter // of the ratio of a doubling
		linear := round >= minRounds && square <= MaxRatio*MaxRatio
		hopeless := round >= maxRounds/5 && square > quadratic*quadratic
		if linear || hopeless || time.Since(start) > maxTime && round >= minRounds {
			break
		}
	}
	return perQuarter, perWhole
}

// repetitions returns how often work must be called to take minRun.
func repetitions(work func()) int {
	times := 1
	for run(work, times)*float64(times) < float64(minRun) {
		times *= 2
	}
	return times
}

// run returns the time of a call, in nanoseconds.
func run(work func(), times int) float64 {
	start := processorTime()
	for range times {
		work()
	}
	return float64(processorTime()-start) / float64(times)
}
