package remote_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz/remote"
)

// split answers tokens that begin with junk like junk, and all others like others.
func split(junk, others behavior) behavior {
	return func(at time.Duration, token string) (time.Duration, int) {
		if strings.HasPrefix(token, "junk") {
			return junk(at, token)
		}
		return others(at, token)
	}
}

// flood is a stream of junk, and good tokens that come beside it later.
type flood struct {
	name       string
	cfg        remote.Config
	junk, good float64       // a second
	patience   time.Duration // of the clients that send the junk
	others     func() behavior
}

var (
	quick  = each(10 * time.Millisecond)
	floods = []flood{
		{name: "80 a second", junk: 80, good: 5, others: quick},
		{name: "80 a second, within 1 s", cfg: brief, junk: 80, good: 5, others: quick},
		{name: "80 a second, four at a time", cfg: four, junk: 80, good: 5, others: quick},
		{name: "4 a second", junk: 4, good: 5, others: quick},
		{name: "80 a second, one good", junk: 80, good: 1, others: quick},
		{name: "80 a second, good after 200 ms", junk: 80, good: 5, others: each(200 * time.Millisecond)},
	}
	junk = map[string]behavior{
		"hangs": hangs, "502": alike(time.Millisecond, 502), "503 after 50 ms": alike(50*time.Millisecond, 503),
		"504 after 3 s": alike(3*time.Second, 504), "502 after 4.9 s": alike(4900*time.Millisecond, 502),
	}
)

// Tokens on which the server hangs, or which it answers with 502 to 504, do not keep
// other tokens out, even if no other tokens come at first.
func TestJunkKeepsNoTokenOut(t *testing.T) {
	t.Parallel()
	runFloods(t, []string{"hangs", "502", "504 after 3 s"}, floods)
}

func runFloods(t *testing.T, kinds []string, floods []flood) {
	for _, kind := range kinds {
		for _, tt := range floods {
			t.Run(kind+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				simulate(t, tt.cfg, split(junk[kind], tt.others()), func(t *testing.T, s *simulation) {
					const from, to = 10 * time.Second, 40 * time.Second
					s.run(flow{kind: "junk", rate: tt.junk, to: to, patience: tt.patience}, flow{kind: "good", rate: tt.good, from: from, to: to})
					n, all := s.good("good", 0, to)
					t.Logf("%d good of %d (%d %%), %d calls", n, all, 100*n/all, s.calls(from, to))
					assert.GreaterOrEqual(t, float64(n), 0.9*float64(all))
					assert.Negative(t, s.opened(), "the breaker opened")
				})
			})
		}
	}
}

// A server that hangs on every token that it does not know, including those of
// probes, gets trials with the tokens of requests.
func TestServerThatHangsOnUnknownTokensIsBack(t *testing.T) {
	t.Parallel()
	known := func(at time.Duration, token string) (time.Duration, int) {
		if strings.HasPrefix(token, "good") {
			return 10 * time.Millisecond, 200
		}
		return never, 0
	}
	simulate(t, remote.Config{}, known, func(t *testing.T, s *simulation) {
		s.run(flow{kind: "junk", rate: 40, to: 20 * time.Second}, flow{kind: "good", rate: 5, from: 30 * time.Second, to: 60 * time.Second})
		assert.Positive(t, s.opened())
		assert.LessOrEqual(t, s.back(30*time.Second), 32*time.Second)
		n, all := s.good("good", 32*time.Second, time.Minute)
		assert.Equal(t, all, n)
	})
}
