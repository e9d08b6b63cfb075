package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// The simulations run a server and its clients in the time of a synctest bubble: minutes of load take milliseconds,
// and the results do not depend on the machine.

// behavior is the response of a simulated server to a request about token that arrives at a time since the start
// of the simulation. It returns the time until the answer (negative: never) and its status.
type behavior func(at time.Duration, token string) (takes time.Duration, status int)

// alike answers every token in the same way.
func alike(takes time.Duration, status int) behavior {
	return func(time.Duration, string) (time.Duration, int) { return takes, status }
}

const never = -time.Second

// fifo answers one request after another, rate of them a second, in the order in which they arrive. It also works on
// requests that the client has abandoned: most servers do not notice that.
func fifo(rate float64) behavior {
	var (
		mu   sync.Mutex
		free time.Duration
	)
	return func(at time.Duration, _ string) (time.Duration, int) {
		mu.Lock()
		defer mu.Unlock()
		free = max(free, at) + time.Duration(float64(time.Second)/rate)
		return free - at, 200
	}
}

// simulation is a server, an introspector that calls it, and the records of both.
type simulation struct {
	in    *remote.Introspector
	start time.Time
	acts  behavior

	mu       sync.Mutex
	arrivals []time.Duration // at the server
	inFlight int
	most     int
	answers  []outcome
}

// outcome is the end of a request of a client.
type outcome struct {
	kind            string
	asked, answered time.Duration
	err             error
}

// simulate runs f in a synctest bubble, with a server of the behavior acts.
func simulate(t *testing.T, cfg remote.Config, acts behavior, f func(t *testing.T, s *simulation)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{start: time.Now(), acts: acts}
		cfg.Endpoint, cfg.Auth, cfg.Audience = "https://issuer.example/introspect", remote.None(""), []string{audience}
		cfg.HTTPClient = &http.Client{Transport: transport(s.serve)}
		in, err := remote.New(t.Context(), cfg)
		require.NoError(t, err)
		s.in = in
		f(t, s)
	})
}

func (s *simulation) now() time.Duration { return time.Since(s.start) }

func (s *simulation) serve(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	s.arrivals = append(s.arrivals, s.now())
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight--
	}()
	takes, status := s.acts(s.now(), form.Get("token"))
	if takes < 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return reply(status, good), nil
}

// flow is a stream of requests: rate of them a second, more or less evenly, from a time to another, each with a new
// token that begins with kind.
type flow struct {
	kind     string
	rate     float64
	from, to time.Duration
	patience time.Duration // of each client; 0: unlimited
}

// run sends the flows, and returns when the last of their requests has ended.
func (s *simulation) run(flows ...flow) {
	var all sync.WaitGroup
	for _, f := range flows {
		all.Go(func() {
			<-time.After(f.from - s.now())
			every := rand.New(rand.NewPCG(uint64(f.rate), uint64(len(f.kind))))
			for n := 0; s.now() < f.to; n++ {
				all.Go(func() { s.ask(f, fmt.Sprintf("%s-%d", f.kind, n)) })
				<-time.After(time.Duration((0.5 + every.Float64()) * float64(time.Second) / f.rate))
			}
		})
	}
	all.Wait()
}

func (s *simulation) ask(f flow, token string) {
	ctx := context.Background()
	if f.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.patience)
		defer cancel()
	}
	asked := s.now()
	_, err := s.in.Introspect(ctx, token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, outcome{f.kind, asked, s.now(), err})
}

// good returns how many requests of a kind, of those sent between two times, were answered, and how many there were.
func (s *simulation) good(kind string, from, to time.Duration) (answered, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.answers {
		if o.kind == kind && o.asked >= from && o.asked < to {
			all++
			if o.err == nil {
				answered++
			}
		}
	}
	return answered, all
}

// calls returns how many calls reached the server between two times.
func (s *simulation) calls(from, to time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, at := range s.arrivals {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

// opened returns when the first request was refused because the endpoint is down, or -1.
func (s *simulation) opened() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := time.Duration(-1)
	for _, o := range s.answers {
		if isDown(o.err) && (first < 0 || o.answered < first) {
			first = o.answered
		}
	}
	return first
}

// back returns when a request was first answered after a time, or -1.
func (s *simulation) back(after time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := time.Duration(-1)
	for _, o := range s.answers {
		if o.err == nil && o.answered >= after && (first < 0 || o.answered < first) {
			first = o.answered
		}
	}
	return first
}

// isDown reports whether err is a refusal of the breaker.
func isDown(err error) bool {
	return errors.Is(err, oauthz.ErrUnavailable) && strings.Contains(err.Error(), "the endpoint is down")
}
