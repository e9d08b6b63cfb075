package remote_test

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// overload is a server that receives more requests than it can answer.
type overload struct {
	name     string
	cfg      remote.Config
	server   func() behavior
	offered  float64       // requests a second
	capacity float64       // answers a second
	settled  time.Duration // the goodput is measured from then on; zero: 5 s
}

// pool answers with n workers, each of which takes a random time.
func pool(n int, mean time.Duration) func() behavior {
	return func() behavior {
		var mu sync.Mutex
		times, free := rand.New(rand.NewPCG(1, 1)), make([]time.Duration, n)
		return func(at time.Duration, _ string) (time.Duration, int) {
			mu.Lock()
			defer mu.Unlock()
			next := 0
			for i := range free {
				if free[i] < free[next] {
					next = i
				}
			}
			free[next] = max(free[next], at) + time.Duration(times.ExpFloat64()*float64(mean))
			return free[next] - at, 200
		}
	}
}

func line(rate float64) func() behavior { return func() behavior { return fifo(rate) } }

func each(takes time.Duration) func() behavior { return func() behavior { return alike(takes, 200) } }

var (
	brief = remote.Config{Timeout: time.Second}
	one   = remote.Config{MaxConcurrent: 1}
	four  = remote.Config{MaxConcurrent: 4}
)

var overloads = []overload{
	{name: "16 a second, 24 offered", server: line(16), offered: 24, capacity: 16},
	{name: "16 a second, 48 offered", server: line(16), offered: 48, capacity: 16},
	{name: "8 a second, 24 offered", server: line(8), offered: 24, capacity: 8, settled: 20 * time.Second},
	{name: "16 a second within 1 s, 48 offered", cfg: brief, server: line(16), offered: 48, capacity: 16},
	{name: "4 a second, one at a time, 12 offered", cfg: one, server: line(4), offered: 12, capacity: 4},
	{name: "4 a second, four at a time, 12 offered", cfg: four, server: line(4), offered: 12, capacity: 4},
	{name: "4.9 s each, 39 offered", server: each(4900 * time.Millisecond), offered: 39, capacity: 64 / 4.9},
	{name: "4.9 s each, 100 offered", server: each(4900 * time.Millisecond), offered: 100, capacity: 64 / 4.9},
	{name: "100 a second, 300 offered", server: line(100), offered: 300, capacity: 100},
	{name: "16 workers of about 1 s, 48 offered", server: pool(16, time.Second), offered: 48, capacity: 16},
}

// A server that receives up to three times as many requests as it can answer still
// answers about as many as it can, whether or not it is slow.
func TestGoodputUnderOverload(t *testing.T) {
	t.Parallel()
	runOverloads(t, 35*time.Second, overloads)
}

func runOverloads(t *testing.T, to time.Duration, overloads []overload) {
	for _, tt := range overloads {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			simulate(t, tt.cfg, tt.server(), func(t *testing.T, s *simulation) {
				from := max(tt.settled, 5*time.Second)
				s.run(flow{kind: "token", rate: tt.offered, to: to})
				n, _ := s.good("token", from, to)
				goodput := float64(n) / (to - from).Seconds()
				t.Logf("%.1f answers a second of %.1f possible (%.0f %%), %.1f calls", goodput, tt.capacity,
					100*goodput/tt.capacity, float64(s.calls(from, to))/(to-from).Seconds())
				assert.GreaterOrEqual(t, goodput, 0.7*tt.capacity)
				if tt.cfg.MaxConcurrent > 0 {
					assert.LessOrEqual(t, s.most, tt.cfg.MaxConcurrent+3, "with the probes")
				}
			})
		})
	}
}

// A request is refused at once while as many others as MaxConcurrent wait and none is
// answered, and otherwise after a quarter of Timeout.
func TestRefusedAtOnceUnderOverload(t *testing.T) {
	t.Parallel()
	simulate(t, four, alike(4900*time.Millisecond, 200), func(t *testing.T, s *simulation) {
		s.run(flow{kind: "token", rate: 50, to: 20 * time.Second})
		atOnce := 0
		for _, o := range s.answers {
			if took := o.answered - o.asked; o.err != nil {
				assert.LessOrEqual(t, took, 1250*time.Millisecond)
				if took == 0 {
					atOnce++
				}
			}
			assert.LessOrEqual(t, o.answered-o.asked, 6250*time.Millisecond, "Timeout and a quarter of it")
		}
		assert.Greater(t, float64(atOnce), 0.5*float64(len(s.answers)))
	})
}

// Soon after a server stalled, or was away, it answers as many requests as before.
func TestLimitRecovers(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]behavior{"hangs": alike(never, 0), "stalls": stallsUntil(28 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := func(at time.Duration, token string) (time.Duration, int) {
				if at >= 20*time.Second && at < 26*time.Second {
					return away(at, token)
				}
				return 2 * time.Second, 200
			}
			simulate(t, remote.Config{}, slow, func(t *testing.T, s *simulation) {
				s.run(flow{kind: "token", rate: 20, to: 60 * time.Second})
				n, all := s.good("token", 45*time.Second, 60*time.Second)
				assert.Equal(t, all, n)
			})
		})
	}
}

// stallsUntil answers all requests at the time end.
func stallsUntil(end time.Duration) behavior {
	return func(at time.Duration, _ string) (time.Duration, int) { return end - at, 200 }
}

// The metadata is fetched when it is due, even while many questions wait.
func TestDiscoveryDoesNotWaitForQuestions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var discovered []time.Duration
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				discovered = append(discovered, time.Since(start))
				return reply(200, metadata), nil
			}
			<-time.After(4900 * time.Millisecond)
			return reply(200, good), nil
		}, withDiscovery, func(c *remote.Config) { c.MaxConcurrent = 1 })
		<-time.After(7 * time.Minute) // it is due at a random time in the second half of 15 minutes
		(&simulation{in: in, start: time.Now()}).run(flow{kind: "token", rate: 10, to: 8 * time.Minute})
		require.Len(t, discovered, 2)
		assert.Zero(t, discovered[0])
		assert.True(t, 7*time.Minute+30*time.Second <= discovered[1] && discovered[1] <= 15*time.Minute, discovered[1])
	})
}
