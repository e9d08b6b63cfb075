package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
)

// Bounds of what a client is told to wait.
const (
	minRetryAfter = time.Second
	maxRetryAfter = 5 * time.Minute
)

// fault is 503: nothing is known of the token. Its text names statuses and
// kinds of failure, never what an answer held.
func fault(retryAfter time.Duration, format string, args ...any) error {
	return &oauthz.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: retryAfter,
		Err: fmt.Errorf("%w: remote: %w", oauthz.ErrUnavailable, fmt.Errorf(format, args...)),
	}
}

// call asks the endpoint, through the breaker, and returns an answer that a
// dialect can read.
func (i *Introspector) call(ctx context.Context, place *url.URL, token string) (*fetch.Response, error) {
	turn, wait := i.breaker.enter()
	if wait > 0 {
		return nil, fault(wait, "the endpoint is down; it is asked again in a while")
	}
	said := saysNothing // also if a hook panics
	defer func() { i.breaker.leave(turn, said) }()
	answer, err := i.send(ctx, place, token)
	if errors.Is(err, fetch.ErrNoAnswer) && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		answer, err = i.send(ctx, place, token)
	}
	said = sayOf(answer, err)
	if err != nil {
		return nil, fault(0, "%w", err)
	}
	return answer, i.faultOf(answer)
}

// onWireToCount is how long an endpoint must have had a call for its silence to
// count. A call that waited for its turn, or whose caller was in a hurry, says
// nothing of the endpoint.
const onWireToCount = time.Second

// sayOf is what the end of a call says of the endpoint.
func sayOf(answer *fetch.Response, err error) say {
	var (
		mistake *requestError
		timeout *fetch.Timeout
	)
	switch {
	case err == nil && !isGatewayStatus(answer.Status), errors.Is(err, fetch.ErrTooLarge):
		return saysAlive
	case errors.As(err, &mistake):
		return saysNothing
	case errors.As(err, &timeout) && timeout.OnWire < onWireToCount:
		return saysNothing
	default:
		return saysDown
	}
}

// isGatewayStatus: what says that nobody was there to answer. A 500 does not:
// some servers answer it to a forged token.
func isGatewayStatus(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// faultOf finds the faults that all endpoints have in common.
func (i *Introspector) faultOf(answer *fetch.Response) error {
	status := answer.Status
	switch {
	case status == http.StatusTooManyRequests || status >= 500:
		return fault(i.retryAfter(answer), "the endpoint answers with status %d", status)
	case status >= 300 && status < 400:
		return fault(0, "the endpoint redirects (status %d), which is not followed", status)
	default:
		return nil
	}
}

// retryAfter is what an answer asks to wait, within bounds; zero if it does not
// say, or not so that it can be read.
func (i *Introspector) retryAfter(answer *fetch.Response) time.Duration {
	wait, ok := answer.RetryAfter(i.cfg.Now())
	if !ok {
		return 0
	}
	return min(max(wait, minRetryAfter), maxRetryAfter)
}

// requestError: there was nothing to send.
type requestError struct{ err error }

func (e *requestError) Error() string { return e.err.Error() }

// send makes the request anew, for an assertion may be used only once, and sends it.
func (i *Introspector) send(ctx context.Context, place *url.URL, token string) (*fetch.Response, error) {
	r, form, err := i.cfg.Dialect.Ask(ctx, place, token)
	if err != nil {
		return nil, &requestError{err}
	}
	if i.cfg.Auth != nil {
		if err := i.cfg.Auth.Apply(ctx, r, form); err != nil {
			return nil, &requestError{err}
		}
	}
	if form != nil {
		body := form.Encode()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		// net/http may send it again on a new connection, if the old one was
		// closed before it took anything.
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(body))), nil }
	}
	return i.client.Do(ctx, r)
}
