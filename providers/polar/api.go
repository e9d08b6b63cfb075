package polar

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/remote"
)

// Error is why an operation failed. It holds nothing of what Polar's answer held,
// and nothing of a token or a secret.
type Error struct {
	Operation  string        // introspect, token, revoke or userinfo
	Status     int           // of Polar's answer; zero: there was none
	RetryAfter time.Duration // how long Polar asks to wait; zero: not said
	Err        error         // the cause, where there is more to say; it matches oauthz.ErrUnavailable if Polar cannot tell now
}

// Error says the operation, the status and the cause.
func (e *Error) Error() string {
	text := "polar: " + e.Operation
	if e.Status != 0 {
		text += ": status " + strconv.Itoa(e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errNotAccessToken = errors.New("is no access token of Polar, by its form")
	errNoRequest      = errors.New("the request cannot be made")
)

func nonsense(operation string, err error) error {
	return &Error{Operation: operation, Status: http.StatusOK, Err: fmt.Errorf("the answer is nonsense: %w", err)}
}

// Bounds of a call.
const (
	maxAnswerBytes = 256 << 10
	timeout        = 10 * time.Second
	maxConcurrent  = 64
)

// api calls the endpoints of Polar, but for what the remote.Introspector asks.
type api struct {
	base             *url.URL
	basic, tokenAuth remote.ClientAuth
	client           *fetch.Client
	now              func() time.Time
}

func newAPI(base *url.URL, basic, tokenAuth remote.ClientAuth, cfg *Config) *api {
	return &api{base: base, basic: basic, tokenAuth: tokenAuth, now: cfg.Now, client: fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: maxAnswerBytes, Timeout: timeout, Concurrency: maxConcurrent,
	})}
}

func (a *api) endpoint(name string) string { return a.base.JoinPath("v1", "oauth2", name).String() }

// post sends a form with our credentials.
func (a *api) post(ctx context.Context, name string, auth remote.ClientAuth, form url.Values) ([]byte, error) {
	header := http.Header{}
	if err := auth.Apply(ctx, &http.Request{Header: header}, form); err != nil {
		return nil, &Error{Operation: name, Err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint(name), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &Error{Operation: name, Err: errNoRequest}
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(ctx, name, r)
}

// do returns the body of a 200.
func (a *api) do(ctx context.Context, operation string, r *http.Request) ([]byte, error) {
	r.Header.Set("Accept", "application/json")
	answer, err := a.client.Do(ctx, r)
	switch {
	case err != nil:
		return nil, &Error{Operation: operation, Err: fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err)}
	case answer.Status == http.StatusTooManyRequests, answer.Status >= 500:
		return nil, &Error{operation, answer.Status, a.retryAfter(answer.Header), oauthz.ErrUnavailable}
	case answer.Status != http.StatusOK:
		return nil, &Error{Operation: operation, Status: answer.Status, RetryAfter: a.retryAfter(answer.Header)}
	case !isJSON(answer.Header):
		return nil, nonsense(operation, errors.New("not JSON by its content type"))
	default:
		return answer.Body, nil
	}
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3).
func (a *api) retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(a.now()), 0)
	}
	return 0
}

// isJSON: a page of a proxy is not. No content type is taken for JSON, which the
// body then has to be.
func isJSON(h http.Header) bool {
	value := h.Get("Content-Type")
	typ, _, err := mime.ParseMediaType(value)
	return value == "" || err == nil && typ == "application/json"
}
