package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
)

// TestOIDCProviderKeyRotation changes the signing keys twice under load: once at any time, and once right after the library
// has fetched keys, when it may not fetch again yet. No token may ever be refused.
func TestOIDCProviderKeyRotation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := startProvider(t)
	a := newAPI(t, p, localjwt.Config{Audience: []string{orders}, UnknownKeyInterval: 1 * time.Second})
	second, third := newKeys(t, 2), newKeys(t, 3) // made now, because on a slow machine it takes longer than the interval
	firstToken := p.mustMint(t, "RS256", orders, "orders:read")

	l := startLoad(ctx, t, p, a)
	l.wait(t, 1, 40)
	p.rotate(t, second)
	l.wait(t, 2, 1)
	p.rotate(t, third)
	l.wait(t, 3, 40)
	l.finish(t)

	require.Equal(t, http.StatusOK, a.mustGet(t, firstToken).status, "the first keys are still published")
	t.Logf("%d requests served", a.served.Load())
}

// A load is a number of clients. Each sends one new token after the other.
type load struct {
	stop    context.CancelFunc
	results <-chan result // closed when all clients are done
}

// A result is how one request ended.
type result struct {
	generation string // of the key that signed the token
	err        error
}

const (
	loadClients       = 8
	requestsPerClient = 1000 // at most: the test ends the load long before
)

// startLoad starts clients that end at their first failure, when they have no requests left, or when the load is stopped.
func startLoad(ctx context.Context, t *testing.T, p *provider, a *api) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result, loadClients*requestsPerClient) // so that no client waits for the test to read
	var clients sync.WaitGroup
	for i := range loadClients {
		clients.Go(func() { sendTokens(ctx, p, a, algorithms[i%len(algorithms)], results) })
	}
	go func() {
		clients.Wait()
		close(results)
	}()
	t.Cleanup(func() { // for a test that fails before finish: no client may outlive the provider
		cancel()
		clients.Wait()
	})
	return &load{stop: cancel, results: results}
}

// finish stops the load. The responses since the last wait count too.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.stop()
	for r := range l.results {
		require.NoError(t, r.err)
	}
}

// wait blocks until n requests with tokens signed by keys of a generation have been served.
func (l *load) wait(t *testing.T, generation, n int) {
	t.Helper()
	for served := 0; served < n; {
		r, ok := <-l.results
		require.True(t, ok, "the load ended before %d tokens of key generation %d were served", n, generation)
		require.NoError(t, r.err)
		if r.generation == fmt.Sprint(generation) {
			served++
		}
	}
}

func sendTokens(ctx context.Context, p *provider, a *api, algorithm string, results chan<- result) {
	for range requestsPerClient {
		generation, err := sendFreshToken(ctx, p, a, algorithm)
		if ctx.Err() != nil {
			return
		}
		results <- result{generation, err}
		if err != nil {
			return
		}
	}
}

// sendFreshToken mints a token and sends it until it is served. It returns the generation of the key that signed it.
func sendFreshToken(ctx context.Context, p *provider, a *api, algorithm string) (generation string, err error) {
	token, err := p.mint(ctx, algorithm, orders, "orders:read")
	if err != nil {
		return "", err
	}
	header, err := headerOf(token)
	if err != nil {
		return "", err
	}
	_, generation, _ = strings.Cut(header.Kid, "-")
	for range 5 {
		r, err := a.get(ctx, token)
		if err != nil || r.status == http.StatusOK {
			return generation, err
		}
		if err := waitToRetry(ctx, r); err != nil {
			return generation, fmt.Errorf("token signed by %s: %w", header.Kid, err)
		}
	}
	return generation, fmt.Errorf("token signed by %s: still 503 at the fifth try", header.Kid)
}

// waitToRetry waits for the Retry-After of a 503. Any other response is an error.
func waitToRetry(ctx context.Context, r reply) error {
	if r.status != http.StatusServiceUnavailable {
		return fmt.Errorf("status %d, %q", r.status, r.header.Get("WWW-Authenticate"))
	}
	wait, err := r.retryAfter()
	if err != nil {
		return err
	}
	if wait > 5*time.Second {
		return fmt.Errorf("asked to retry after %v although keys may be fetched every second", wait)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
