//go:build !linux

package doubling

import "time"

var start = time.Now()

// processorTime returns the elapsed time, so that Linear is less exact on a busy
// machine.
func processorTime() time.Duration { return time.Since(start) }
