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
			return fmt.Errorf("remote: config: Issuer: cannot discover the endpoint, and Endpoint is empty: %w", err)
		}
	}
	return nil
}

// endpointSource holds the URL of the endpoint: from the configuration, or
// discovered in the background.
type endpointSource struct {
	name         string // for errors: the field or the issuer in the configuration
	found        atomic.Pointer[url.URL]
	failed       atomic.Pointer[error] // of the last attempt that failed
	firstAttempt chan struct{}         // closed after the first attempt; later requests do not wait
}

func newEndpointSource(ctx context.Context, cfg *Config, client *fetch.Client) *endpointSource {
	e := &endpointSource{name: "Endpoint", firstAttempt: make(chan struct{})}
	if cfg.Endpoint != "" {
		endpoint, _ := fetch.CheckURL(cfg.Endpoint) // has been checked
		e.found.Store(endpoint)
		return e
	}
	e.name = "the introspection endpoint of " + cfg.Issuer
	go e.keepDiscovering(ctx, client, cfg.Issuer)
	return e
}

// The times between two attempts to discover the endpoint.
const (
	rediscoverAfter = 15 * time.Minute // the endpoint may have moved
	longestRetry    = 5 * time.Second
)

// keepDiscovering discovers the endpoint again and again, and returns when ctx ends.
// While an attempt fails, the last endpoint stays in use.
func (e *endpointSource) keepDiscovering(ctx context.Context, client *fetch.Client, issuer string) {
	failures := 0
	for first := true; ; first = false {
		endpoint, err := discover(ctx, client, issuer)
		wait := fetch.RefreshPause(rediscoverAfter)
		if err == nil {
			e.found.Store(endpoint)
			failures = 0
		} else {
			e.failed.Store(&err)
			failures++
			wait = fetch.RetryPause(failures, longestRetry)
		}
		if first {
			close(e.firstAttempt)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// discover returns the endpoint that the metadata of issuer names. It recovers a panic
// of the caller's http.Client, which would end the process: no caller can recover a
// panic in this goroutine.
func discover(ctx context.Context, client *fetch.Client, issuer string) (endpoint *url.URL, err error) {
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

// resolve returns the URL of the endpoint. It blocks until the first attempt to
// discover it has ended, or ctx.
func (e *endpointSource) resolve(ctx context.Context) (*url.URL, error) {
	if endpoint := e.found.Load(); endpoint != nil {
		return endpoint, nil
	}
	select {
	case <-e.firstAttempt:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if endpoint := e.found.Load(); endpoint != nil {
		return endpoint, nil
	}
	return nil, fmt.Errorf("not discovered yet: %w", *e.failed.Load())
}
