package fetch_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauthz/oauthz/internal/doubling"
	"github.com/oauthz/oauthz/internal/fetch"
)

// parts are what long fields and URLs are made of.
var parts = map[string]string{
	"letters": "a", "spaces": " ", "commas": ",", "semicolons": ";", "colons": ":", "slashes": "/", "dots": ".", "digits": "1", "quotes": `"`,
	"backslashes": `\`, "escapes": "%41", "bad escapes": "%", "brackets": "[", "at signs": "@", "question marks": "?", "hashes": "#",
	"wide letters": "é", "equals signs": "=", "GMT": "GMT ",
}

// The metadata of an issuer name URLs, which the bound of the document alone bounds.
func TestCostOfAURLIsLinear(t *testing.T) {
	t.Parallel()
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, 1<<20, func(n int) func() {
				long := strings.Repeat(part, n/len(part))
				urls := []string{long, "https://" + long, "https://a.example/" + long, "https://a.example?" + long, "https://[" + long + "]/", "http://" + long + ":1"}
				return func() {
					for _, raw := range urls {
						_, _ = fetch.CheckBaseURL(raw)
					}
				}
			})
		})
	}
}

// answering is a transport that answers every request alike.
type answering struct {
	header http.Header
	body   string
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	body := struct{ io.Reader }{strings.NewReader(a.body)} // in pieces
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: a.header, Body: io.NopCloser(body), ContentLength: -1,
	}, nil
}

func TestCostOfAnAnswerIsLinear(t *testing.T) {
	t.Parallel()
	const most = 256 << 10 // the bound of remote
	for name, length := range map[string]int{"within the bound": most, "beyond it": 4 * most} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, most, func(n int) func() {
				client := fetch.New(fetch.Config{
					HTTPClient: &http.Client{Transport: answering{body: strings.Repeat("a", length)}},
					MaxBytes:   int64(n), Timeout: time.Minute, Concurrency: 1,
				})
				return func() { _, _ = client.Get(context.Background(), "https://a.example", nil) }
			})
		})
	}
}

func TestCostOfFieldsOfAnAnswerIsLinear(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, http.DefaultMaxHeaderBytes, func(n int) func() {
				long := strings.Repeat(part, n/len(part))
				answers := []fetch.Response{
					{Header: http.Header{"Retry-After": {long}, "Content-Type": {long}}},
					{Header: http.Header{"Retry-After": {"Mon, " + long}, "Content-Type": {"application/json;" + long}}},
					{Header: http.Header{"Retry-After": {"1" + long}, "Content-Type": {"application/json; a" + long}}},
				}
				return func() {
					for i := range answers {
						_, _ = answers[i].RetryAfter(now)
						_ = fetch.IsJSON(answers[i].Header)
					}
				}
			})
		})
	}
}

// A list of parameters is read by package mime.
func TestCostOfAContentTypeIsLinear(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{"parameters": "; a=b", "quoted": `; a="b"`, "continued": "; a*0*=b", "empty": "; ", "percent": "; a*=utf-8''%41"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, http.DefaultMaxHeaderBytes, func(n int) func() {
				header := http.Header{"Content-Type": {"application/json" + strings.Repeat(part, n/len(part))}}
				return func() { _ = fetch.IsJSON(header) }
			})
		})
	}
}
