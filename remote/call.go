package remote

import (
	"bytes"
	"context"
	"crypto/rand"
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
	due, wait := i.breaker.arrive(i.client.Crowded())
	if wait > 0 {
		return nil, down(wait)
	}
	if due {
		i.startProbe(place)
	}
	turn, err := i.client.Take(ctx)
	if err != nil {
		return nil, fault(max(i.cfg.Timeout/4, minRetryAfter), "%w", err)
	}
	defer turn.End()
	if wait := i.breaker.send(due); wait > 0 {
		return nil, down(wait)
	}
	answer, err := i.ask(ctx, turn, place, token)
	if fetch.IsAnswer(answer, err) {
		i.breaker.live()
	}
	if err != nil {
		if due && isUnsent(err) {
			i.breaker.unsent()
		}
		return nil, fault(0, "%w", err)
	}
	return answer, i.faultOf(answer)
}

func down(wait time.Duration) error {
	return fault(wait, "the endpoint is down; it is asked again in a while")
}

// startProbe sends a question about a token that no client chose, to find out
// whether the endpoint answers. No dialect reads the answer.
func (i *Introspector) startProbe(place *url.URL) {
	if !i.breaker.beginProbe() {
		return
	}
	go func() {
		sent, failed := time.Now(), false
		turn := i.client.Beside(i.ctx)
		defer func() {
			// No caller could recover a hook that panics here: the process would end.
			_ = recover()
			turn.End()
			i.breaker.endProbe(sent, failed)
		}()
		answer, err := i.ask(i.ctx, turn, place, rand.Text())
		if fetch.IsAnswer(answer, err) {
			i.breaker.live()
		} else {
			failed = !isUnsent(err) && i.ctx.Err() == nil
		}
	}()
}

// ask sends a question, and sends it once more if the connection ended without an
// answer.
func (i *Introspector) ask(ctx context.Context, turn *fetch.Turn, place *url.URL, token string) (*fetch.Response, error) {
	answer, err := i.send(ctx, turn, place, token)
	if errors.Is(err, fetch.ErrNoAnswer) && !errors.Is(err, context.DeadlineExceeded) && !turn.Ended() {
		return i.send(ctx, turn, place, token)
	}
	return answer, err
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

func isUnsent(err error) bool {
	var unsent *requestError
	return errors.As(err, &unsent)
}

// send makes the request anew, for an assertion may be used only once, and sends it.
func (i *Introspector) send(ctx context.Context, turn *fetch.Turn, place *url.URL, token string) (*fetch.Response, error) {
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
	return turn.Do(r)
}
