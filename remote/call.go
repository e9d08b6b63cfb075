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

// The bounds of the Retry-After that a client receives.
const (
	minRetryAfter = time.Second
	maxRetryAfter = 5 * time.Minute
)

// fault returns the error for a token about which nothing is known (503). Its text
// names statuses, kinds of failure, and a field or the issuer of the configuration,
// never a byte of an answer.
func fault(retryAfter time.Duration, format string, args ...any) error {
	return oauthz.Unavailable(retryAfter, fmt.Errorf("remote: %w", fmt.Errorf(format, args...)))
}

// call sends a question about token to the endpoint, if the breaker admits it, and
// returns an answer that a dialect can read.
func (i *Introspector) call(ctx context.Context, endpoint *url.URL, token string) (*fetch.Response, error) {
	probe, wait := i.breaker.admit(i.client.UnusualSilence())
	if wait > 0 {
		return nil, i.downFault(wait)
	}
	if probe {
		i.startProbe(endpoint)
	}
	turn, err := i.client.Take(ctx)
	if err != nil {
		return nil, fault(max(i.cfg.Timeout/4, minRetryAfter), "%s: %w", i.endpoint.name, err)
	}
	defer turn.End()
	if wait := i.breaker.markSent(probe); wait > 0 {
		return nil, i.downFault(wait)
	}
	answer, err := i.sendWithRetry(ctx, turn, endpoint, token)
	if fetch.IsAnswer(answer, err) {
		i.breaker.markAlive()
	}
	if err != nil {
		if probe && isUnsent(err) {
			i.breaker.markTrialUnsent()
		}
		return nil, fault(0, "%s: %w", i.endpoint.name, err)
	}
	return answer, i.statusFault(answer)
}

func (i *Introspector) downFault(wait time.Duration) error {
	return fault(wait, "%s: the endpoint is down: one request every %v is sent", i.endpoint.name, trialInterval)
}

// startProbe starts a goroutine that sends a question about a random token, which no
// client chose, to find out whether the endpoint answers. No dialect reads the
// answer.
func (i *Introspector) startProbe(endpoint *url.URL) {
	if !i.breaker.beginProbe() {
		return
	}
	go func() {
		sent, failed := time.Now(), false
		turn := i.client.TakeExtra(i.ctx)
		defer func() {
			// A panic of a hook in this goroutine would end the process: no caller
			// can recover it.
			_ = recover()
			turn.End()
			i.breaker.endProbe(sent, failed)
		}()
		answer, err := i.sendWithRetry(i.ctx, turn, endpoint, rand.Text())
		if fetch.IsAnswer(answer, err) {
			i.breaker.markAlive()
		} else {
			failed = !isUnsent(err) && i.ctx.Err() == nil
		}
	}()
}

// sendWithRetry sends a question, and sends it once more if the connection ended
// without an answer.
func (i *Introspector) sendWithRetry(
	ctx context.Context, turn *fetch.Turn, endpoint *url.URL, token string,
) (*fetch.Response, error) {
	answer, err := i.sendOnce(ctx, turn, endpoint, token)
	if errors.Is(err, fetch.ErrNoAnswer) && !errors.Is(err, context.DeadlineExceeded) && !turn.Ended() {
		return i.sendOnce(ctx, turn, endpoint, token)
	}
	return answer, err
}

// statusFault returns the fault for a status that is a fault in every dialect, or nil.
func (i *Introspector) statusFault(answer *fetch.Response) error {
	status := answer.Status
	switch {
	case status == http.StatusTooManyRequests || status >= 500:
		return fault(i.retryAfter(answer), "%s: status %d", i.endpoint.name, status)
	case status >= 300 && status < 400:
		return fault(0, "%s: a redirect (status %d), which is not followed", i.endpoint.name, status)
	default:
		return nil
	}
}

// retryAfter returns the Retry-After of an answer (RFC 9110 §10.2.3), within bounds,
// or zero if it is missing or cannot be parsed.
func (i *Introspector) retryAfter(answer *fetch.Response) time.Duration {
	wait, ok := answer.RetryAfter(i.cfg.Now())
	if !ok {
		return 0
	}
	return min(max(wait, minRetryAfter), maxRetryAfter)
}

// requestError is the error of a request that could not be made, so that nothing was
// sent.
type requestError struct{ err error }

func (e *requestError) Error() string { return e.err.Error() }

func isUnsent(err error) bool {
	var unsent *requestError
	return errors.As(err, &unsent)
}

// sendOnce makes a request and sends it. Each call makes a new request, because an
// assertion may be used only once.
func (i *Introspector) sendOnce(ctx context.Context, turn *fetch.Turn, endpoint *url.URL, token string) (*fetch.Response, error) {
	r, form, err := i.cfg.Dialect.Ask(ctx, endpoint, token)
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
		// net/http may send the body again on a new connection, if the old connection
		// was closed before it accepted any byte.
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(body))), nil }
	}
	return turn.Do(r)
}
