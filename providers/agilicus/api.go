package agilicus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// Error is why an operation failed. It holds nothing of what Agilicus's answer
// held, and nothing of a token.
type Error struct {
	Operation  string        // introspect, reissue, revoke, create, validate or list
	Status     int           // of Agilicus's answer; zero: there was none
	RetryAfter time.Duration // how long Agilicus asks to wait; zero: not said
	Err        error         // the cause, where there is more to say; it matches oauthz.ErrUnavailable if Agilicus cannot tell now
}

// Error says the operation, the status and the cause.
func (e *Error) Error() string {
	text := "agilicus: " + e.Operation
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
	errNotJWT    = errors.New("the token is no JWT, by its form")
	errNoRequest = errors.New("the request cannot be made")
)

func nonsense(operation string, status int, err error) error {
	return &Error{Operation: operation, Status: status, Err: fmt.Errorf("the answer is nonsense: %w", err)}
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
}

func newAPI(base *url.URL, cfg *Config) *api {
	return &api{base: base, bearer: cfg.BearerToken, now: cfg.Now, client: fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: maxAnswerBytes, Timeout: timeout, Concurrency: maxConcurrent,
	})}
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
		return nil, &Error{Operation: c.operation, Err: err}
	}
	answer, err := a.client.Do(ctx, r)
	switch {
	case err != nil:
		return nil, &Error{Operation: c.operation, Err: fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err)}
	case answer.Status == http.StatusTooManyRequests, answer.Status >= 500:
		return nil, &Error{c.operation, answer.Status, a.retryAfter(answer.Header), oauthz.ErrUnavailable}
	case answer.Status != c.want:
		return nil, &Error{Operation: c.operation, Status: answer.Status, RetryAfter: a.retryAfter(answer.Header)}
	case c.want != http.StatusNoContent && !isJSON(answer.Header):
		return nil, nonsense(c.operation, answer.Status, errors.New("not JSON by its content type"))
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
