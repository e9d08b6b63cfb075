// Package fetch is an HTTP client for documents of other parties: key sets,
// metadata, answers of authorization servers.
//
// It uses https, or http to loopback. It does not follow redirects, because a
// redirect would let one host name another as the source of keys or the receiver of
// a secret. It bounds the size of the body (after decompression), the time
// (including the body) and the number of calls in flight. Its errors hold no byte
// of a response, and no URL.
package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Config bounds a [Client]. All but HTTPClient are required.
type Config struct {
	_ struct{}

	HTTPClient  *http.Client  // sends the requests; default: one with http.DefaultTransport
	MaxBytes    int64         // of a body
	Timeout     time.Duration // of a call, from its turn to the last byte
	Concurrency int           // calls in flight at once; others wait for a quarter of Timeout
}

// Client is safe for concurrent use.
type Client struct {
	http     http.Client
	maxBytes int64
	turns    turns
}

// Response is an answer whose body was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// The errors that a caller may need to distinguish.
var (
	// ErrTooLarge is returned if the body is larger than Config.MaxBytes.
	ErrTooLarge = errors.New("body too large")
	// ErrNoAnswer is returned if not even the header of an answer came.
	ErrNoAnswer = errors.New("no answer")
)

// New returns a Client.
func New(cfg Config) *Client {
	c := &Client{maxBytes: cfg.MaxBytes, turns: turns{
		maximum: cfg.Concurrency, limit: float64(cfg.Concurrency), timeout: cfg.Timeout,
	}}
	if cfg.HTTPClient != nil {
		c.http = *cfg.HTTPClient
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// CheckURL parses an absolute URL that a [Client] may call: https, or http to
// loopback, without credentials and without a fragment.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "":
		return nil, errors.New("not an absolute URL")
	case u.User != nil:
		return nil, errors.New("holds credentials")
	case u.Fragment != "":
		return nil, errors.New("holds a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	default:
		return nil, errors.New("want an https URL (http only for loopback)")
	}
}

// CheckBaseURL is [CheckURL] for a URL that paths are appended to: it must not have
// a query.
func CheckBaseURL(raw string) (*url.URL, error) {
	u, err := CheckURL(raw)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, errors.New("holds a query")
	}
	return u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" { // RFC 6761 §6.3
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.IsLoopback()
}

// Do sends r when the call has a turn, and reads the answer: see [Client.Take] and
// [Turn.Do].
func (c *Client) Do(ctx context.Context, r *http.Request) (*Response, error) {
	t, err := c.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer t.End()
	return t.Do(r)
}

// Do sends r, whose URL must pass [CheckURL], and reads the answer, with any status.
// It returns an error when the time of the turn ends, or the context that the turn
// was taken with. A request may be sent again in the same turn.
func (t *Turn) Do(r *http.Request) (*Response, error) {
	if _, err := CheckURL(r.URL.String()); err != nil {
		return nil, err
	}
	answer, err := t.do(r)
	t.answered = IsAnswer(answer, err)
	return answer, err
}

func (t *Turn) do(r *http.Request) (*Response, error) {
	limit := t.client.maxBytes
	answer, err := t.client.http.Do(r.WithContext(t.ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, t.describe(err))
	}
	defer func() { _ = answer.Body.Close() }() // the body has been read
	if answer.ContentLength > limit {
		return nil, ErrTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, t.describe(err)
	}
	if int64(len(body)) > limit {
		return nil, ErrTooLarge
	}
	return &Response{Status: answer.StatusCode, Header: answer.Header, Body: body}, nil
}

// IsAnswer reports whether the results of [Client.Do] are an answer of the server
// itself: neither silence nor one of the statuses by which a gateway reports that
// the server did not answer.
func IsAnswer(answer *Response, err error) bool {
	if err != nil {
		return errors.Is(err, ErrTooLarge)
	}
	switch answer.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	default:
		return true
	}
}

// Get fetches a document with the method GET and with header.
func (c *Client) Get(ctx context.Context, rawURL string, header http.Header) (*Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, errors.New("not an absolute URL")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	return c.Do(ctx, r)
}

// describe returns an error that names the kind of a failure. It does not wrap err:
// the errors of net/http quote the URL and parts of the response.
func (t *Turn) describe(err error) error {
	var (
		certificate *tls.CertificateVerificationError
		dial        *net.OpError
		timeout     net.Error
	)
	switch {
	case t.gaveWay.Load() && errors.Is(t.ctx.Err(), context.Canceled): // else its time had ended before
		return ErrGaveWay
	case t.ctx.Err() != nil:
		return fmt.Errorf("not complete in time: %w", t.ctx.Err())
	case errors.As(err, &certificate):
		return errors.New("the server's certificate is not valid")
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("not complete in time: %w", context.DeadlineExceeded)
	case errors.As(err, &dial) && dial.Op == "dial":
		return errors.New("cannot connect")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the answer ends early")
	default:
		return errors.New("the exchange failed")
	}
}
