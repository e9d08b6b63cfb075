package doubling

import (
	"syscall"
	"time"
	"unsafe"
)

// processorTime returns how long the calling thread has run. It does not count the
// time in which the thread waited for a processor.
func processorTime() time.Duration {
	const clockThreadCPUTime = 3 // CLOCK_THREAD_CPUTIME_ID of <time.h>
	var now syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPUTime, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		panic("doubling: clock_gettime: " + errno.Error())
	}
	return time.Duration(now.Nano())
}
