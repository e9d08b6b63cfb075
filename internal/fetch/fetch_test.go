package fetch_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/fetch"
)

func client(cfg fetch.Config) *fetch.Client {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 10
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 4
	}
	return fetch.New(cfg)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestCheckURLAcceptsHTTPSAndLoopback(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://login.example", "https://login.example:8443/a?b=c", "http://localhost:8080/jwks",
		"http://127.0.0.1:1", "http://127.9.9.9/", "http://[::1]:80/x",
	} {
		_, err := fetch.CheckURL(good)
		assert.NoError(t, err, good)
	}
	for _, bad := range []string{
		"", "login.example", "/jwks", "//login.example", "http://login.example", "http://10.0.0.1", "http://localhost.evil.example",
		"http://127.0.0.1.evil.example", "ftp://127.0.0.1", "file:///etc/passwd", "https://", "https:login.example",
		"https://user:secret@login.example", "https://login.example/#x", "data:application/json,{}", "http://[::1%25eth0.evil]",
	} {
		_, err := fetch.CheckURL(bad)
		require.Error(t, err, bad)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestGetReturnsTheAnswer(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Got", r.Header.Get("Accept"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	got, err := client(fetch.Config{}).Get(t.Context(), url, http.Header{"Accept": {"application/json"}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusTeapot, got.Status)
	assert.Equal(t, "short and stout", string(got.Body))
	assert.Equal(t, "application/json", got.Header.Get("X-Got"))
}

func TestDoRefusesPlainHTTP(t *testing.T) {
	t.Parallel()
	_, err := client(fetch.Config{}).Get(t.Context(), "http://192.0.2.1/jwks", nil)
	assert.EqualError(t, err, "want an https URL (http only for loopback)")
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	target := serve(t, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
	mine := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	got, err := client(fetch.Config{HTTPClient: mine}).Get(t.Context(), url, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusFound, got.Status)
	assert.False(t, followed.Load())
	assert.NoError(t, mine.CheckRedirect(nil, nil), "the caller's client is left as it was")
}

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	tests := map[string]http.HandlerFunc{
		"declared": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 1025))
		},
		"streamed": func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1024)); err != nil {
					return
				}
			}
		},
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, strings.Repeat("x", 1<<20))
			_ = z.Close()
		},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(fetch.Config{}).Get(t.Context(), serve(t, h), nil)
			assert.ErrorIs(t, err, fetch.ErrTooLarge)
		})
	}
}

func TestBodyAtTheBoundIsRead(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1024)) })
	got, err := client(fetch.Config{}).Get(t.Context(), url, nil)
	require.NoError(t, err)
	assert.Len(t, got.Body, 1024)
}

func TestTimeCoversTheBody(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	_, err := client(fetch.Config{Timeout: 50 * time.Millisecond}).Get(t.Context(), url, nil)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		started <- struct{}{}
		<-release
	})
	c := client(fetch.Config{Concurrency: 1})
	first := make(chan error, 1)
	go func() {
		_, err := c.Get(context.Background(), url, nil)
		first <- err
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Get(ctx, url, nil)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	assert.NoError(t, <-first)
}

func TestErrorsHoldNoURLAndNoByteOfAnAnswer(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	broken := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = fmt.Fprintf(conn, "%s not http\r\n\r\n", canary)
			_ = conn.Close()
		}
	})
	badLocation := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "://"+canary)
		w.WriteHeader(http.StatusFound)
	})
	closed := httptest.NewServer(nil)
	closed.Close()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.Config.ErrorLog = log.New(io.Discard, "", 0)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	tests := map[string]string{
		broken:          "no answer: the exchange failed",
		badLocation:     "no answer: the exchange failed",
		closed.URL:      "no answer: cannot connect",
		certificate.URL: "no answer: the server's certificate is not valid",
	}
	for url, want := range tests {
		_, err := client(fetch.Config{}).Get(t.Context(), url+"/?token="+canary, nil)
		assert.EqualError(t, err, want)
		assert.NotContains(t, fmt.Sprintf("%+v %#v", err, err), canary)
	}
}
