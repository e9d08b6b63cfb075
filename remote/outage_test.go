package remote_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// failing answers within 10 ms, and like how while it is down.
func failing(down func(at time.Duration) bool, how behavior) behavior {
	return func(at time.Duration, token string) (time.Duration, int) {
		if down(at) {
			return how(at, token)
		}
		return 10 * time.Millisecond, 200
	}
}

func between(from, to time.Duration) func(time.Duration) bool {
	return func(at time.Duration) bool { return at >= from && at < to }
}

var hangs = alike(never, 0)

// outages are the ways in which a server is away.
var outages = map[string]behavior{
	"hangs": hangs, "502": alike(time.Millisecond, 502), "504 after 3 s": alike(3*time.Second, 504), "refuses": alike(0, 0),
}

func nameOf(cfg remote.Config) string {
	return fmt.Sprintf("%d at once within %v", cfg.MaxConcurrent, cfg.Timeout)
}

// The breaker detects an endpoint that hangs at any rate of requests, and then spares
// the endpoint.
func TestHangIsDetected(t *testing.T) {
	t.Parallel()
	runHangs(t, []float64{4, 40}, []remote.Config{{}, one, brief}, []time.Duration{0, 2 * time.Second})
}

func runHangs(t *testing.T, rates []float64, cfgs []remote.Config, patiences []time.Duration) {
	for _, rate := range rates {
		for _, cfg := range cfgs {
			for _, patience := range patiences {
				for _, warm := range []time.Duration{0, 5 * time.Second} {
					name := fmt.Sprintf("%v a second, %s, clients wait %v, after %v", rate, nameOf(cfg), patience, warm)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						simulate(t, cfg, failing(between(warm, time.Hour), hangs), func(t *testing.T, s *simulation) {
							s.run(flow{kind: "token", rate: rate, to: warm + 25*time.Second, patience: patience})
							opened := s.opened()
							require.Positive(t, opened, "never opens")
							calls := s.calls(opened, opened+8*time.Second)
							t.Logf("opens after %v, then %d calls in 8 s", opened-warm, calls)
							assert.LessOrEqual(t, opened-warm, 10*time.Second)
							assert.LessOrEqual(t, calls, 20)
						})
					})
				}
			}
		}
	}
}

// After an outage of any length and kind, requests are answered again within 6 s.
func TestBackAfterAnOutage(t *testing.T) {
	t.Parallel()
	runOutages(t, []float64{4}, []time.Duration{1, 6, 65, 600}, []remote.Config{{}})
	runOutages(t, []float64{40}, []time.Duration{3, 30}, []remote.Config{{}, brief})
}

func runOutages(t *testing.T, rates []float64, lengths []time.Duration, cfgs []remote.Config) {
	for kind, how := range outages {
		for _, rate := range rates {
			for _, length := range lengths {
				for _, cfg := range cfgs {
					t.Run(fmt.Sprintf("%s for %d s, %v a second, %s", kind, length, rate, nameOf(cfg)), func(t *testing.T) {
						t.Parallel()
						const begin = 10 * time.Second
						end := begin + length*time.Second
						simulate(t, cfg, failing(between(begin, end), how), func(t *testing.T, s *simulation) {
							s.run(flow{kind: "token", rate: rate, to: end + 20*time.Second})
							back := s.back(end) - end
							n, all := s.good("token", end+6*time.Second, end+20*time.Second)
							t.Logf("back after %v", back)
							assert.LessOrEqual(t, back, 6*time.Second)
							assert.Equal(t, all, n)
						})
					})
				}
			}
		}
	}
}

// A slow endpoint is not down, however few requests there are.
func TestSlowEndpointIsNotDown(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.1, 0.3, 1, 4, 12} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			t.Parallel()
			simulate(t, remote.Config{}, alike(4900*time.Millisecond, 200), func(t *testing.T, s *simulation) {
				s.run(flow{kind: "token", rate: rate, to: time.Minute})
				n, all := s.good("token", 0, time.Hour)
				assert.Equal(t, all, n)
				assert.LessOrEqual(t, s.calls(0, time.Hour), all+all/2+1, "probes")
			})
		})
	}
}

// An endpoint that comes and goes is used while it is there.
func TestFlappingEndpoint(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"hangs", "502"} {
		for _, half := range []time.Duration{1, 2, 5, 10, 20} {
			t.Run(fmt.Sprintf("%s every %d s", kind, half), func(t *testing.T) {
				t.Parallel()
				down := func(at time.Duration) bool { return at/(half*time.Second)%2 == 1 }
				simulate(t, remote.Config{}, failing(down, outages[kind]), func(t *testing.T, s *simulation) {
					s.run(flow{kind: "token", rate: 20, to: time.Minute})
					n, all := 0, 0
					for _, o := range s.answers {
						if !down(o.asked) {
							all++
							if o.err == nil {
								n++
							}
						}
					}
					t.Logf("answered while it is there: %d of %d (%d %%)", n, all, 100*n/all)
					assert.GreaterOrEqual(t, float64(n), 0.6*float64(all))
				})
			})
		}
	}
}

// A probe that fails proves nothing if there was a sign of life meanwhile, or if the
// silence is short.
func TestEndpointThatWasAwayBrieflyIsNotDown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg    remote.Config
		length time.Duration
		how    behavior
	}{
		"life while the probe hangs": {remote.Config{}, 3 * time.Second, hangs},
		"a short silence":            {one, 1500 * time.Millisecond, alike(100*time.Millisecond, 502)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const begin = 5 * time.Second
			simulate(t, tt.cfg, failing(between(begin, begin+tt.length), tt.how), func(t *testing.T, s *simulation) {
				flows := []flow{{kind: "token", rate: 20, to: 10 * time.Second}}
				for n := range 5 { // together, after the end of the probe
					flows = append(flows, flow{kind: fmt.Sprint("late", n), rate: 1, from: 14 * time.Second, to: 14*time.Second + 1})
				}
				s.run(flows...)
				assert.Negative(t, s.opened())
			})
		})
	}
}
