package cache_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkJunk sends a million different junk tokens, and reports the memory in use
// after them. A valid token stays remembered. Run the benchmark once:
//
//	go test -run '^$' -bench Junk -benchtime 1x ./cache
func BenchmarkJunk(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c, next := cacheAfterJunk(b, 1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MB-held")
		b.ReportMetric(float64(c.Stats().Refusals), "refusals-held")
		calls := next.calls.Load()
		_, err := c.Introspect(b.Context(), "good")
		require.NoError(b, err)
		require.Equal(b, calls, next.calls.Load(), "the valid token is still remembered")
	}
}
