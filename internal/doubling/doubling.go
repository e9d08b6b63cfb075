// Package doubling tests that the cost of an input is linear: it is for tests
// of everything that reads what a stranger sent.
package doubling

import (
	"math"
	"runtime"
	"time"
)

// MaxRatio is how many times as long an input of twice the size may take. A
// linear cost gives 2, a quadratic one 4. The rest is for noise and for caches
// of the processor, which larger inputs outgrow.
const MaxRatio = 2.6

const (
	minRounds = 5               // before a result is accepted: one slow run of the smaller input must not hide a square
	maxRounds = 40              // before a result is refused: a busy machine must not fail a test
	maxTime   = 5 * time.Second // after which no round begins, but for the first minRounds
	// minRun is how long one measurement takes at least, so that the resolution
	// of the clock does not matter.
	minRun = 300 * time.Microsecond
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
// Linear compares the fastest of several runs, and on Linux only the time of the
// processor, so that it holds on a machine with other work to do, and in a test
// that runs beside others. The garbage collector runs between the runs only.
func Linear(t T, most int, prepare func(size int) (work func())) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer pauseCollector()()
	for _, size := range []int{most / 16, most} {
		half, whole := prepare(size/2), prepare(size)
		times := repetitions(half)
		shortHalf, shortWhole := fastest(half, whole, times)
		ratio := float64(shortWhole) / float64(shortHalf)
		t.Logf("size %d: %v; size %d: %v; ratio %.2f", size/2, shortHalf/times, size, shortWhole/times, ratio)
		if ratio > MaxRatio {
			t.Errorf("size %d takes %.2f times as long as size %d; want at most %.1f", size, ratio, size/2, MaxRatio)
			return
		}
	}
}

// fastest returns the shortest time that so many calls of each took.
func fastest(half, whole func(), times time.Duration) (shortHalf, shortWhole time.Duration) {
	start := time.Now()
	shortHalf, shortWhole = math.MaxInt64, math.MaxInt64
	for round := 1; round <= maxRounds; round++ {
		runtime.GC() // not while a run is measured
		shortHalf = min(shortHalf, run(half, times))
		shortWhole = min(shortWhole, run(whole, times))
		linear := float64(shortWhole) <= MaxRatio*float64(shortHalf)
		if round >= minRounds && (linear || time.Since(start) > maxTime) {
			break
		}
	}
	return shortHalf, shortWhole
}

// repetitions returns how often work must be called to take minRun.
func repetitions(work func()) time.Duration {
	times := time.Duration(1)
	for run(work, times) < minRun {
		times *= 2
	}
	return times
}

func run(work func(), times time.Duration) time.Duration {
	start := processorTime()
	for range times {
		work()
	}
	return processorTime() - start
}
