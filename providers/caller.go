package providers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
)

// CallerConfig configures a [Caller]. Vendor is required.
type CallerConfig struct {
	_ struct{}

	// Vendor is the name of the vendor, as in [OperationError]. Required.
	Vendor string
	// HTTPClient sends the requests. Redirects are not followed, even if it would
	// follow them. Default: a client with http.DefaultTransport.
	HTTPClient *http.Client
	// MaxConcurrent is how many calls may be in flight; further calls wait, within
	// their time. Default 64.
	MaxConcurrent int
	// MaxAnswerBytes is the size limit of an answer. Default 256 KiB.
	MaxAnswerBytes int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// callTimeout bounds a call, with the time that it waits for other calls.
const callTimeout = 10 * time.Second

// Caller sends the requests of a vendor's operations: to https or loopback only,
// each within 10 s, in bounded number and with bounded answers. It is safe for
// concurrent use.
type Caller struct {
	vendor string
	client *fetch.Client
	now    func() time.Time
}

// NewCaller returns a Caller.
func NewCaller(cfg CallerConfig) *Caller {
	if cfg.MaxConcurrent <= 0 {
		cfg.MaxConcurrent = 64
	}
	if cfg.MaxAnswerBytes <= 0 {
		cfg.MaxAnswerBytes = 256 << 10
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Caller{vendor: cfg.Vendor, now: cfg.Now, client: fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: int64(cfg.MaxAnswerBytes), Timeout: callTimeout, Concurrency: cfg.MaxConcurrent,
	})}
}

// Do sends r once: some requests must not be sent twice. It returns the header and
// the body of the answer. The error is an *[OperationError]
//
//   - with Status 0, without an answer; it then matches [oauthz.ErrUnavailable];
//   - with the status of the answer if that is not want. Header and body are
//     returned beside it. A status of 429, 500 or more matches
//     [oauthz.ErrUnavailable].
func (c *Caller) Do(ctx context.Context, operation string, r *http.Request, want int) (http.Header, []byte, error) {
	failed := &OperationError{Vendor: c.vendor, Operation: operation}
	answer, err := c.client.Do(ctx, r)
	if err != nil {
		failed.Err = fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err)
		return nil, nil, failed
	}
	if answer.Status == want {
		return answer.Header, answer.Body, nil
	}
	failed.Status = answer.Status
	failed.RetryAfter, _ = answer.RetryAfter(c.now())
	if answer.Status == http.StatusTooManyRequests || answer.Status >= 500 {
		failed.Err = oauthz.ErrUnavailable
	}
	return answer.Header, answer.Body, failed
}

// ErrNoRequest is returned when a request cannot be made of its parts. It does not
// wrap the cause, which may quote the URL or the body.
var ErrNoRequest = errors.New("the request cannot be made")

// NewRequest returns a request that accepts JSON. A bearer that is not empty is sent
// in the Authorization header (RFC 6750 §2.1). A body that is not nil is encoded as
// JSON; its secrets must be strings, because JSON redacts an [oauthz.Secret]. The error
// is [ErrNoRequest].
func NewRequest(ctx context.Context, method, url string, bearer oauthz.Secret, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, ErrNoRequest
		}
		content = bytes.NewReader(encoded) // net/http can read it again, if it must dial a second time
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return nil, ErrNoRequest
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+string(bearer))
	}
	return r, nil
}
