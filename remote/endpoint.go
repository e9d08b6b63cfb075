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
	found atomic.Pointer[url.URL]
	ready chan struct{} // closed when it is found
	tried chan struct{} // closed after the first attempt: who comes later need not wait
}

func newEndpoint(ctx context.Context, cfg *Config, client *fetch.Client) *endpoint {
	e := &endpoint{ready: make(chan struct{}), tried: make(chan struct{})}
	if cfg.Endpoint != "" {
		place, _ := fetch.CheckURL(cfg.Endpoint) // has been checked
		e.found.Store(place)
		close(e.ready)
		return e
	}
	go e.discover(ctx, client, cfg.Issuer)
	return e
}

// discover tries until it succeeds or ctx is done.
func (e *endpoint) discover(ctx context.Context, client *fetch.Client, issuer string) {
	const longest = 5 * time.Second
	wait := 500 * time.Millisecond
	for first := true; ; first = false {
		found, err := jose.Discover(ctx, client, issuer, "introspection_endpoint")
		if err == nil {
			place, _ := fetch.CheckURL(found) // Discover has checked it
			e.found.Store(place)
			close(e.ready)
		}
		if first {
			close(e.tried)
		}
		if err == nil {
			return
		}
		wait = min(2*wait, longest)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

var errNotDiscovered = errors.New("the introspection endpoint has not been discovered yet")

// get waits for the first attempt at the most.
func (e *endpoint) get(ctx context.Context) (*url.URL, error) {
	if place := e.found.Load(); place != nil {
		return place, nil
	}
	select {
	case <-e.ready:
	case <-e.tried:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if place := e.found.Load(); place != nil {
		return place, nil
	}
	return nil, errNotDiscovered
}
