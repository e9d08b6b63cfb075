package polar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

var (
	errNotAccessToken = errors.New("is no access token of Polar, by its form")
	errNoRequest      = errors.New("the request cannot be made")
)

// failed is an operation's error. The status is 0 if there was no answer.
func failed(operation string, status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: "polar", Operation: operation, Status: status, Err: err}
}

func nonsense(operation string, err error) error {
	return failed(operation, http.StatusOK, fmt.Errorf("the answer is nonsense: %w", err))
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
	recorder         *providers.Recorder
	keep             time.Duration // what is recorded; 0: for ever
}

func newAPI(base *url.URL, basic, tokenAuth remote.ClientAuth, cfg *Config) *api {
	return &api{
		base: base, basic: basic, tokenAuth: tokenAuth, now: cfg.Now, recorder: cfg.recorder(), keep: cfg.MaxTokenLifetime,
		client: fetch.New(fetch.Config{
			HTTPClient: cfg.HTTPClient, MaxBytes: maxAnswerBytes, Timeout: timeout, Concurrency: maxConcurrent,
		}),
	}
}

func (a *api) endpoint(name string) string { return a.base.JoinPath("v1", "oauth2", name).String() }

// post sends a form with our credentials.
func (a *api) post(ctx context.Context, name string, auth remote.ClientAuth, form url.Values) ([]byte, error) {
	header := http.Header{}
	if err := auth.Apply(ctx, &http.Request{Header: header}, form); err != nil {
		return nil, failed(name, 0, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint(name), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, failed(name, 0, errNoRequest)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(ctx, name, r)
}

// do returns the body of a 200.
func (a *api) do(ctx context.Context, operation string, r *http.Request) ([]byte, error) {
	r.Header.Set("Accept", "application/json")
	answer, err := a.client.Do(ctx, r)
	if err != nil {
		return nil, failed(operation, 0, fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err))
	}
	if answer.Status != http.StatusOK {
		e := failed(operation, answer.Status, nil)
		e.RetryAfter, _ = answer.RetryAfter(a.now())
		if answer.Status == http.StatusTooManyRequests || answer.Status >= 500 {
			e.Err = oauthz.ErrUnavailable
		}
		return nil, e
	}
	if !fetch.IsJSON(answer.Header) {
		return nil, nonsense(operation, errors.New("not JSON by its content type"))
	}
	return answer.Body, nil
}
