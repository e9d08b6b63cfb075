// Package doubling tests that the cost of an input is linear: it is for tests
// of everything that reads what a stranger sent.
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
	maxTime   = 10 * time.Second // after which no round begins, but for the first minRounds
	// minRun is how long one measurement takes at least: long enough for the
	// garbage collector to run several times, where there is garbage.
	minRun = 5 * time.Millisecond
)

// T is the part of testing.TB that a check needs.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Linear fails t if the work for an input takes more than MaxRatio times as long
// as for an input of half the size. most is the largest input that a stranger
// can send, in whatever unit suits the test: Linear looks at a sixteenth of it,
// where a square does not take hours, and then at all of it. prepare builds an
// input and returns the work, which must do the same each time it is called, in
// the goroutine that calls it.
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
	for _, size := range []int{most / 16, most} {
		perHalf, perWhole := fastest(prepare(size/2), prepare(size))
		ratio := perWhole / perHalf
		t.Logf("size %d: %.0f ns; size %d: %.0f ns; ratio %.2f", size/2, perHalf, size, perWhole, ratio)
		if ratio > MaxRatio {
			t.Errorf("size %d takes %.2f times as long as size %d; want at most %.1f", size, ratio, size/2, MaxRatio)
			return
		}
	}
}

// one is held by a check that measures: two would share the processor's caches.
var one sync.Mutex

// fastest returns the shortest times of a call, in nanoseconds. Half is called
// twice as often, so that both leave the same amount of garbage.
func fastest(half, whole func()) (perHalf, perWhole float64) {
	runtime.GC() // other tests leave garbage, which is collected at the expense of those that allocate
	start, times := time.Now(), repetitions(whole)
	perHalf, perWhole = math.MaxFloat64, math.MaxFloat64
	for round := 1; round <= maxRounds; round++ {
		perHalf = min(perHalf, run(half, 2*times))
		perWhole = min(perWhole, run(whole, times))
		if round >= minRounds && (perWhole <= MaxRatio*perHalf || time.Since(start) > maxTime) {
			break
		}
	}
	return perHalf, perWhole
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
