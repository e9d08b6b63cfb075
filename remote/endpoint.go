package remote

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
)

func (cfg *Config) checkEndpoint() error {
	switch {
	case cfg.Endpoint != "":
		if _, err := fetch.CheckURL(cfg.Endpoint); err != nil {
			return fmt.Errorf("remote: config: Endpoint: %w", err)
		}
	case cfg.Issuer == "":
		return errors.New("remote: config: Endpoint or Issuer is required")
	default:
		if _, err := jose.WellKnown(cfg.Issuer); err != nil {
			return fmt.Errorf("remote: config: Issuer: cannot discover the endpoint, and there is none: %w", err)
		}
	}
	return nil
}

// endpoint is where to ask: configured, or discovered in the background.
type endpoint struct {
	found  atomic.Pointer[url.URL]
	failed atomic.Pointer[error] // why it has not been found
	tried  chan struct{}         // closed after the first attempt: who comes later need not wait
}

func newEndpoint(ctx context.Context, cfg *Config, client *fetch.Client) *endpoint {
	e := &endpoint{tried: make(chan struct{})}
	if cfg.Endpoint != "" {
		place, _ := fetch.CheckURL(cfg.Endpoint) // has been checked
		e.found.Store(place)
		return e
	}
	go e.keepDiscovering(ctx, client, cfg.Issuer)
	return e
}

// When the endpoint is looked for again.
const (
	rediscoverAfter = 15 * time.Minute // it may have moved
	longestRetry    = 5 * time.Second
)

// keepDiscovering ends with ctx. While a look-up fails, the last endpoint stands.
func (e *endpoint) keepDiscovering(ctx context.Context, client *fetch.Client, issuer string) {
	failures := 0
	for first := true; ; first = false {
		place, err := discover(ctx, client, issuer)
		wait := fetch.RefreshPause(rediscoverAfter)
		if err == nil {
			e.found.Store(place)
			failures = 0
		} else {
			e.failed.Store(&err)
			failures++
			wait = fetch.RetryPause(failures, longestRetry)
		}
		if first {
			close(e.tried)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// discover keeps a panic in a caller's http.Client from ending the process:
// nobody else could recover it.
func discover(ctx context.Context, client *fetch.Client, issuer string) (place *url.URL, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in the HTTP client: %T", v)
		}
	}()
	found, err := jose.Discover(ctx, client, issuer, "introspection_endpoint")
	if err != nil {
		return nil, err
	}
	return fetch.CheckURL(found)
}

// get waits for the first attempt at the most.
func (e *endpoint) get(ctx context.Context) (*url.URL, error) {
	if place := e.found.Load(); place != nil {
		return place, nil
	}
	select {
	case <-e.tried:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if place := e.found.Load(); place != nil {
		return place, nil
	}
	return nil, fmt.Errorf("the introspection endpoint has not been discovered: %w", *e.failed.Load())
}
