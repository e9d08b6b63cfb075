package localjwt_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// sharedServer is the server of many issuers. It records the time of each request.
type sharedServer struct {
	answer func(r *http.Request) (*http.Response, error)
	start  time.Time

	mu         sync.Mutex
	times      []time.Duration // since the start
	inFlight   int
	mostAtOnce int
}

func (c *sharedServer) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.times = append(c.times, time.Since(c.start))
	c.inFlight++
	c.mostAtOnce = max(c.mostAtOnce, c.inFlight)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight--
	}()
	return c.answer(r)
}

// between returns how many requests came in [from, to).
func (c *sharedServer) between(from, to time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, _ := slices.BinarySearch(c.times, from)
	end, _ := slices.BinarySearch(c.times, to)
	return end - first
}

// assertSpread checks that between begin and end no quarter of a second has more
// than a tenth of the requests of the ten seconds that start with it.
func (c *sharedServer) assertSpread(t *testing.T, begin, end time.Duration) {
	t.Helper()
	const quarter, long = time.Second / 4, 10 * time.Second
	worst, at := 0.0, time.Duration(0)
	for from := begin; from+long <= end; from += quarter / 5 {
		n, all := c.between(from, from+quarter), c.between(from, from+long)
		if share := float64(n) / float64(max(all, 1)); n > 0 && share > worst {
			worst, at = share, from
		}
	}
	t.Logf("the most in a quarter of a second: %.1f %% of ten seconds' requests, at %v; %d requests in all", 100*worst, at, c.between(0, end))
	assert.LessOrEqual(t, worst, 0.1)
}

func refuseConnection(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func hangUntilDone(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// introspectors returns n introspectors that discover their keys at c.
func (c *sharedServer) introspectors(t *testing.T, n int, changes ...func(*localjwt.Config)) []*localjwt.Introspector {
	t.Helper()
	c.start = time.Now()
	all := make([]*localjwt.Introspector, n)
	for i := range all {
		cfg := localjwt.Config{
			Issuer: fmt.Sprintf("https://issuer.example/tenant-%d", i), Audience: []string{audience},
			HTTPClient: &http.Client{Transport: c}, Logger: slog.New(slog.DiscardHandler),
		}
		for _, change := range changes {
			change(&cfg)
		}
		in, err := localjwt.New(t.Context(), cfg)
		require.NoError(t, err)
		all[i] = in
	}
	return all
}

// The introspectors for many issuers of one server that is down do not all fetch at
// the same moment, neither by themselves nor because of tokens.
func TestRetriesOfManyIssuersAreSpread(t *testing.T) {
	for name, tt := range map[string]struct {
		answer  func(*http.Request) (*http.Response, error)
		traffic bool
		begin   time.Duration // when the first fetches, which all began at once, have failed
	}{
		"refuses connections":           {refuseConnection, false, time.Second / 4},
		"hangs":                         {hangUntilDone, false, 4*time.Second + time.Second/4},
		"refuses, and there are tokens": {refuseConnection, true, time.Second / 4},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				c := &sharedServer{answer: tt.answer}
				all := c.introspectors(t, 300)
				if tt.traffic {
					token := as.Mint(nil)
					for _, in := range all {
						go repeat(time.Second/2, time.Minute, func() {
							_, err := in.Introspect(t.Context(), token)
							assert.ErrorIs(t, err, oauthz.ErrUnavailable)
						})
					}
				}
				pass(61 * time.Second)
				c.assertSpread(t, tt.begin, time.Minute)
			})
		})
	}
}

// Key sets that were fetched at the same time are refreshed at times spread over
// half of the interval.
func TestRefreshesOfManyIssuersAreSpread(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		c := &sharedServer{answer: func(*http.Request) (*http.Response, error) { return reply(200, string(as.JWKS())), nil }}
		c.introspectors(t, 1000, func(cfg *localjwt.Config) {
			cfg.JWKSURL, cfg.RefreshInterval = cfg.Issuer+"/jwks", 20*time.Second
		})
		pass(2 * time.Minute)
		require.Equal(t, 1000, c.between(0, 10*time.Second))
		for from := 10 * time.Second; from < 20*time.Second; from += 2 * time.Second {
			assert.InDelta(t, 200, c.between(from, from+2*time.Second), 70, "at %v", from)
		}
		for from := 10 * time.Second; from < 2*time.Minute; from += time.Second / 4 {
			require.LessOrEqual(t, c.between(from, from+time.Second/4), 50, "at %v", from)
		}
	})
}

// The introspectors of one ByIssuer refresh a bounded number of key sets at once. A
// token does not wait for these refreshes, and all introspectors recover with the
// server.
func TestByIssuerBoundsTheFetchesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var up atomic.Bool
		c := &sharedServer{}
		c.answer = func(r *http.Request) (*http.Response, error) {
			if !up.Load() {
				return hangUntilDone(r)
			}
			<-time.After(50 * time.Millisecond)
			return reply(200, string(as.JWKS())), nil
		}
		all := c.introspectors(t, 300, func(cfg *localjwt.Config) { cfg.JWKSURL = cfg.Issuer + "/jwks" })
		both, err := localjwt.ByIssuer(all...)
		require.NoError(t, err)
		pass(4*time.Second + 100*time.Millisecond) // the first fetches began before ByIssuer shared a bound
		c.mu.Lock()
		c.mostAtOnce = c.inFlight
		c.mu.Unlock()
		pass(time.Minute)
		c.mu.Lock()
		assert.Equal(t, 64, c.mostAtOnce)
		c.mu.Unlock()
		up.Store(true)
		start := time.Now()
		token := as.Mint(oauthztest.Claims{"iss": "https://issuer.example/tenant-7"})
		for send(t, both, token) != ok {
			pass(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, time.Since(start), 10*time.Second, "by the fetch that the token causes")
		pass(15*time.Second - time.Since(start))
		for _, in := range all {
			assert.NoError(t, in.Ready())
		}
	})
}

// An introspector that has its keys holds no goroutine until its next fetch. This
// test counts the goroutines of the process, so it is not parallel.
func TestIdleIntrospectorsHoldNoGoroutine(t *testing.T) {
	keys := server(t, oauthztest.Config{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) }))
	defer web.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	before := runtime.NumGoroutine()
	for i := range 300 {
		in, err := localjwt.New(t.Context(), localjwt.Config{
			Issuer: fmt.Sprint(keys.Issuer(), "/", i), JWKSURL: web.URL, Audience: []string{audience},
			HTTPClient: client, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return in.Ready() == nil }, 10*time.Second, time.Millisecond)
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+10 }, 10*time.Second, 10*time.Millisecond)
}
