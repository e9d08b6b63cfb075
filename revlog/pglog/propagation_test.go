//go:build unix

package pglog_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// BenchmarkPropagation measures the time from the call of Revoke on one instance until another
// refuses the token, for single revocations: ten a second. Run it with -benchtime 200x.
func BenchmarkPropagation(b *testing.B) {
	s := requireServer(b, shared)
	table := newTable()
	here := openList(b, openLog(b, s, table))
	watched := &watchedLog{Log: openLog(b, s, table), read: make(chan struct{}, 1)}
	there := openList(b, watched)
	var took []time.Duration
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for i := 0; b.Loop(); i++ {
		<-pause.C
		rev := revocation(fmt.Sprint(i))
		token := &oauthz.Token{Issuer: "https://login.example.com", ID: fmt.Sprint(i)}
		revoked := make(chan error, 1)
		began := time.Now()
		go func() { revoked <- here.Revoke(b.Context(), rev) }()
		for refused := false; !refused; {
			<-watched.read
			refused, _ = there.Revoked(b.Context(), token) // an error is ignored
		}
		took = append(took, time.Since(began))
		must(b, "revoke", <-revoked)
	}
	slices.Sort(took)
	milliseconds := func(part float64) float64 {
		return float64(took[int(part*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(milliseconds(0.5), "p50-ms")
	b.ReportMetric(milliseconds(0.99), "p99-ms")
}

// BenchmarkAppend measures one writer, and several concurrent writers.
func BenchmarkAppend(b *testing.B) {
	s := requireServer(b, shared)
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			log := openLog(b, s, newTable(), "pool_max_conns=16")
			b.SetParallelism(writers) // of each processor
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := log.Append(b.Context(), revocation("a")); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func openList(b *testing.B, log revlog.Log) *revlog.List {
	b.Helper()
	list, err := revlog.Open(b.Context(), log, revlog.Config{Report: func(err error) { b.Error(err) }})
	must(b, "open", err)
	b.Cleanup(func() { _ = list.Close() }) // never fails
	must(b, "ready", list.Ready(b.Context()))
	return list
}

// watchedLog signals when a list reads, and has therefore applied the entries that it read
// before.
type watchedLog struct {
	revlog.Log
	read chan struct{}
}

func (l *watchedLog) Read(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	select {
	case l.read <- struct{}{}:
	default:
	}
	return l.Log.Read(ctx, after, wait)
}
