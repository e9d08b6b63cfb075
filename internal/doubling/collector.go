package doubling

import (
	"runtime/debug"
	"sync"
)

// collector is off while anything is measured: its share of the work falls on
// the goroutines that allocate, and not on each in proportion.
var collector struct {
	sync.Mutex
	pauses  int // measurements in progress
	percent int // to be set after the last of them
}

// pauseCollector turns the garbage collector off until resume is called.
func pauseCollector() (resume func()) {
	collector.Lock()
	defer collector.Unlock()
	if collector.pauses++; collector.pauses == 1 {
		collector.percent = debug.SetGCPercent(-1)
	}
	return func() {
		collector.Lock()
		defer collector.Unlock()
		if collector.pauses--; collector.pauses == 0 {
			debug.SetGCPercent(collector.percent)
		}
	}
}
