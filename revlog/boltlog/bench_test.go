package boltlog_test

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// BenchmarkPropagation measures the time from the call of Revoke on one list to the refusal by
// another, including fsync.
func BenchmarkPropagation(b *testing.B) {
	log := newLog(b, openFile(b, fileIn(b)), boltlog.Config{})
	one, two := openList(b, log, revlog.Config{}), openList(b, log, revlog.Config{})
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		require.NoError(b, one.Revoke(b.Context(), numbered(i)))
		for {
			if revoked, _ := two.Revoked(b.Context(), token(i)); revoked {
				break
			}
			runtime.Gosched()
		}
		took = append(took, time.Since(start))
	}
	report(b, took)
}

// BenchmarkAppend16 measures 16 concurrent writers.
func BenchmarkAppend16(b *testing.B) {
	log := newLog(b, openFile(b, fileIn(b)), boltlog.Config{})
	var next atomic.Int64
	b.SetParallelism(max(16/runtime.GOMAXPROCS(0), 1))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := log.Append(b.Context(), numbered(int(next.Add(1)))); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkAppend measures one writer, which waits for one fsync an entry.
func BenchmarkAppend(b *testing.B) {
	log := newLog(b, openFile(b, fileIn(b)), boltlog.Config{})
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		require.NoError(b, log.Append(b.Context(), numbered(i)))
		took = append(took, time.Since(start))
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
