package agilicus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
)

var (
	errNotJWT    = errors.New("the token is no JWT, by its form")
	errNoRequest = errors.New("the request cannot be made")
)

// failed is an operation's error. The status is 0 if there was no answer.
func failed(operation string, status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: "agilicus", Operation: operation, Status: status, Err: err}
}

func nonsense(operation string, status int, err error) error {
	return failed(operation, status, fmt.Errorf("the answer is nonsense: %w", err))
}

// Bounds of a call. A list of tokens is long.
const (
	maxAnswerBytes = 4 << 20
	timeout        = 10 * time.Second
	maxConcurrent  = 64
)

// api calls the tokens API, but for what the remote.Introspector asks.
type api struct {
	base   *url.URL
	bearer func(ctx context.Context) (oauthz.Secret, error)
	client *fetch.Client
	now    func() time.Time

	recorder *providers.Recorder
	keep     time.Duration // what is recorded; 0: for ever
}

func newAPI(base *url.URL, cfg *Config) *api {
	return &api{
		base: base, bearer: cfg.BearerToken, now: cfg.Now, recorder: cfg.recorder(), keep: cfg.MaxTokenLifetime,
		client: fetch.New(fetch.Config{
			HTTPClient: cfg.HTTPClient, MaxBytes: maxAnswerBytes, Timeout: timeout, Concurrency: maxConcurrent,
		}),
	}
}

// endpoint is one below /v1/tokens, or that itself.
func (a *api) endpoint(name string) string { return a.base.JoinPath("v1", "tokens", name).String() }

// call is one request, and the one status that says that it succeeded.
type call struct {
	operation, method, path string
	query                   url.Values
	in                      any // the body, as JSON; nil: none
	bearer                  bool
	want                    int
}

// request makes the request of c, with the API token that it may need.
func (a *api) request(ctx context.Context, c *call) (*http.Request, error) {
	var body io.Reader
	if c.in != nil {
		encoded, err := json.Marshal(c.in)
		if err != nil { // a RawMessage of the caller's that is no JSON
			return nil, errNoRequest
		}
		body = bytes.NewReader(encoded)
	}
	place := a.endpoint(c.path)
	if len(c.query) > 0 {
		place += "?" + c.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, c.method, place, body)
	if err != nil {
		return nil, errNoRequest
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if !c.bearer {
		return r, nil
	}
	if a.bearer == nil {
		return nil, errors.New("needs an API token, and Config.BearerToken is nil")
	}
	token, err := a.bearer(ctx)
	if err != nil || !isVisibleASCII(string(token)) {
		// The source's own error may quote an answer that held a secret.
		return nil, errors.New("needs an API token, and Config.BearerToken has none")
	}
	r.Header.Set("Authorization", "Bearer "+string(token))
	return r, nil
}

func isVisibleASCII(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7E })
}

// do returns the body of an answer with the status that is wanted.
func (a *api) do(ctx context.Context, c call) ([]byte, error) {
	r, err := a.request(ctx, &c)
	if err != nil {
		return nil, failed(c.operation, 0, err)
	}
	answer, err := a.client.Do(ctx, r)
	if err != nil {
		return nil, failed(c.operation, 0, fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err))
	}
	if answer.Status != c.want {
		e := failed(c.operation, answer.Status, nil)
		e.RetryAfter, _ = answer.RetryAfter(a.now())
		if answer.Status == http.StatusTooManyRequests || answer.Status >= 500 {
			e.Err = oauthz.ErrUnavailable
		}
		return nil, e
	}
	if c.want != http.StatusNoContent && !fetch.IsJSON(answer.Header) {
		return nil, nonsense(c.operation, answer.Status, errors.New("not JSON by its content type"))
	}
	return answer.Body, nil
}

// decode reads an object, which must have the members required, into v. It goes
// through an oauthz.Token, which reads without folding the case of names.
func decode(body []byte, v any, required ...string) error {
	members, err := strictjson.Object(string(body))
	if err != nil {
		return err
	}
	for _, name := range required {
		if value, ok := strictjson.Lookup(members, name); !ok || value == "null" {
			return fmt.Errorf("member %s: missing", name)
		}
	}
	t, err := oauthz.ParseToken(body)
	if err != nil {
		return err
	}
	return t.Decode(v)
}
