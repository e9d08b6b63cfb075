//go:build heavy

package remote_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// The simulations with more parameters than fit into the time of CI.

// about answers after a random time with that mean.
func about(mean time.Duration) func() behavior {
	return func() behavior {
		var mu sync.Mutex
		times := rand.New(rand.NewPCG(7, 7))
		return func(time.Duration, string) (time.Duration, int) {
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(times.ExpFloat64() * float64(mean)), 200
		}
	}
}

func TestHeavyOverloadSimulations(t *testing.T) {
	t.Parallel()
	const second = time.Second
	runOverloads(t, 125*second, append([]overload{
		{name: "2 a second, 6 offered", server: line(2), offered: 6, capacity: 2, settled: 50 * second},
		{name: "8 a second, 24 offered, from 40 s", server: line(8), offered: 24, capacity: 8, settled: 40 * second},
		{name: "16 a second, 160 offered", server: line(16), offered: 160, capacity: 16},
		{name: "100 a second within 1 s, 300 offered", cfg: brief, server: line(100), offered: 300, capacity: 100},
		{name: "4 a second within 1 s, four at a time, 12 offered", cfg: remote.Config{MaxConcurrent: 4, Timeout: second},
			server: line(4), offered: 12, capacity: 4},
		{name: "4 workers of about 250 ms, 48 offered", server: pool(4, second/4), offered: 48, capacity: 16},
		{name: "64 workers of about 1 s, 192 offered", server: pool(64, second), offered: 192, capacity: 64},
		{name: "64 workers of about 500 ms within 1 s, 384 offered", cfg: brief, server: pool(64, second/2), offered: 384, capacity: 128 * 0.86},
		// One in twelve takes longer than Timeout.
		{name: "16 workers of about 2 s, 24 offered", server: pool(16, 2*second), offered: 24, capacity: 8 * 0.92, settled: 20 * second},
	}, overloads...))
}

func TestHeavyHangSimulations(t *testing.T) {
	t.Parallel()
	runHangs(t, []float64{1, 4, 12, 15, 20, 40, 200},
		[]remote.Config{{}, one, four, brief, {MaxConcurrent: 1, Timeout: time.Second}},
		[]time.Duration{0, 2 * time.Second, 300 * time.Millisecond})
}

func TestHeavyOutageSimulations(t *testing.T) {
	t.Parallel()
	runOutages(t, []float64{2, 4, 40}, []time.Duration{1, 2, 3, 6, 10, 30, 65, 300, 600}, []remote.Config{{}, one, four, brief})
}

func TestHeavyJunkSimulations(t *testing.T) {
	t.Parallel()
	kinds := make([]string, 0, len(junk))
	for kind := range junk {
		kinds = append(kinds, kind)
	}
	runFloods(t, kinds, append([]flood{
		{name: "160 a second", junk: 160, good: 5, others: quick},
		{name: "400 a second", junk: 400, good: 5, others: quick},
		{name: "80 a second, one good in 5 s", junk: 80, good: 0.2, others: quick},
		{name: "80 a second, from clients that leave", junk: 80, good: 5, patience: 20 * time.Millisecond, others: quick},
		{name: "80 a second, good after about 30 ms", junk: 80, good: 5, others: about(30 * time.Millisecond)},
	}, floods...))
}

// loopback is a real server. It never answers tokens that begin with hang, and no
// token while away is set. It answers other tokens one after another, at a rate.
type loopback struct {
	*httptest.Server
	away  atomic.Bool
	calls atomic.Int64

	every time.Duration // between two answers; 0: answers at once
	mu    sync.Mutex
	free  time.Time
}

func newLoopback(t *testing.T, every time.Duration) *loopback {
	t.Helper()
	s := &loopback{every: every}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *loopback) serve(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	if s.away.Load() || strings.HasPrefix(form.Get("token"), "hang") {
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	now := time.Now()
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(s.every)
	wait := s.free.Sub(now)
	s.mu.Unlock()
	<-time.After(wait) // also for a client that has gone
	active(``)(w, r)
}

func (s *loopback) introspector(t *testing.T) *remote.Introspector {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	in, err := remote.New(t.Context(), remote.Config{
		Endpoint: s.URL, Auth: remote.Basic("api", "secret"), Audience: []string{audience}, HTTPClient: client,
	})
	require.NoError(t, err)
	return in
}

// offer sends requests at a rate for some time, and returns their outcomes.
func offer(ctx context.Context, in *remote.Introspector, kind string, rate float64, length time.Duration) []outcome {
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		outcomes []outcome
	)
	start := time.Now()
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	for n := 0; time.Since(start) < length; n++ {
		all.Go(func() {
			asked := time.Since(start)
			_, err := in.Introspect(ctx, fmt.Sprintf("%s-%d", kind, n))
			mu.Lock()
			defer mu.Unlock()
			outcomes = append(outcomes, outcome{kind, asked, time.Since(start), err})
		})
		<-ticker.C
	}
	all.Wait()
	return outcomes
}

func answered(outcomes []outcome, from, to time.Duration) (n, all int) {
	s := simulation{answers: outcomes}
	return s.good(outcomes[0].kind, from, to)
}

func TestHeavyGoodputOverLoopback(t *testing.T) {
	t.Parallel()
	for _, offered := range []float64{24, 48} {
		t.Run(fmt.Sprint(offered), func(t *testing.T) {
			t.Parallel()
			s := newLoopback(t, time.Second/16)
			outcomes := offer(t.Context(), s.introspector(t), "good", offered, 30*time.Second)
			n, _ := answered(outcomes, 5*time.Second, 30*time.Second)
			t.Logf("%.1f answers a second of 16 possible, %d calls", float64(n)/25, s.calls.Load())
			assert.GreaterOrEqual(t, float64(n)/25, 0.7*16)
		})
	}
}

func TestHeavyJunkOverLoopback(t *testing.T) {
	t.Parallel()
	s := newLoopback(t, 0)
	in := s.introspector(t)
	go offer(t.Context(), in, "hang", 80, 40*time.Second)
	<-time.After(10 * time.Second)
	n, all := answered(offer(t.Context(), in, "good", 5, 25*time.Second), 0, time.Hour)
	t.Logf("%d good of %d, beside 80 junk a second", n, all)
	assert.GreaterOrEqual(t, float64(n), 0.9*float64(all))
}

func TestHeavyOutageOverLoopback(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{4, 40} {
		for _, length := range []time.Duration{15 * time.Second, 65 * time.Second} {
			t.Run(fmt.Sprintf("%v a second, %v", rate, length), func(t *testing.T) {
				t.Parallel()
				s := newLoopback(t, 0)
				in := s.introspector(t)
				var open, later atomic.Int64
				time.AfterFunc(5*time.Second, func() { s.away.Store(true) })
				time.AfterFunc(15*time.Second, func() { open.Store(s.calls.Load()) })
				time.AfterFunc(23*time.Second, func() { later.Store(s.calls.Load()) })
				time.AfterFunc(5*time.Second+length, func() { s.away.Store(false) })
				end := 5*time.Second + length
				seen := &simulation{answers: offer(t.Context(), in, "good", rate, end+20*time.Second)}
				n, all := seen.good("good", end+6*time.Second, end+20*time.Second)
				t.Logf("opens after %v, back after %v, then %d of %d", seen.opened()-5*time.Second, seen.back(end)-end, n, all)
				assert.LessOrEqual(t, seen.opened(), 15*time.Second)
				assert.LessOrEqual(t, seen.back(end), end+6*time.Second)
				assert.Equal(t, all, n)
				if length > 20*time.Second {
					t.Logf("%d calls in 8 s", later.Load()-open.Load())
					assert.LessOrEqual(t, later.Load()-open.Load(), int64(20))
				}
			})
		}
	}
}
