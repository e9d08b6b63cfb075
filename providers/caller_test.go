package providers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

// call sends one request to a server that answers with handler.
func call(t *testing.T, handler http.HandlerFunc, want int) (http.Header, []byte, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	r, err := providers.NewRequest(t.Context(), http.MethodGet, server.URL, "", nil)
	require.NoError(t, err)
	caller := providers.NewCaller(providers.CallerConfig{Vendor: "acme", Now: func() time.Time { return noon }})
	return caller.Do(t.Context(), "op", r, want)
}

// statuses are statuses of an answer, and the error of each.
var statuses = []struct {
	status      int
	retryAfter  string
	want        time.Duration
	unavailable bool
}{
	{status: 200},
	{status: 201},
	{status: 301},
	{status: 400},
	{status: 403, retryAfter: "7", want: 7 * time.Second},
	{status: 428},
	{status: 429, unavailable: true},
	{status: 429, retryAfter: noon.Add(time.Minute).Format(http.TimeFormat), want: time.Minute, unavailable: true},
	{status: 429, retryAfter: "canary", unavailable: true},
	{status: 499},
	{status: 500, unavailable: true},
	{status: 503, retryAfter: "9", want: 9 * time.Second, unavailable: true},
}

func TestCallerDo(t *testing.T) {
	t.Parallel()
	for _, tt := range statuses {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.retryAfter), func(t *testing.T) {
			t.Parallel()
			header, body, err := call(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Test", "1")
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, "canary")
			}, http.StatusCreated)
			assert.Equal(t, "1", header.Get("X-Test"))
			assert.Equal(t, "canary", string(body))
			if tt.status == http.StatusCreated {
				require.NoError(t, err)
				return
			}
			want := &providers.OperationError{Vendor: "acme", Operation: "op", Status: tt.status, RetryAfter: tt.want}
			if tt.unavailable {
				want.Err = oauthz.ErrUnavailable
			}
			assert.Equal(t, want, err)
		})
	}
}

func TestCallerWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	caller := providers.NewCaller(providers.CallerConfig{Vendor: "acme", HTTPClient: &http.Client{
		Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("canary") }),
	}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name, url string
		ctx       context.Context
	}{
		{"no connection", "https://acme.example/", t.Context()},
		{"plain HTTP", "http://acme.example/", t.Context()},
		{"the caller gave up", "https://acme.example/", gone},
	} {
		r, err := providers.NewRequest(tt.ctx, http.MethodGet, tt.url, "canary", nil)
		require.NoError(t, err)
		header, body, err := caller.Do(tt.ctx, "op", r, http.StatusOK)
		assert.Nil(t, header)
		assert.Nil(t, body)
		var failed *providers.OperationError
		require.ErrorAs(t, err, &failed, tt.name)
		assert.Zero(t, failed.Status)
		assert.True(t, strings.HasPrefix(err.Error(), "acme: op: "), err)
		require.ErrorIs(t, err, oauthz.ErrUnavailable)
		assert.Equal(t, tt.ctx == gone, errors.Is(err, context.Canceled))
		assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "canary")
	}
}

// An answer may have 256 KiB, unless the Config has another bound.
func TestCallerBoundsAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 256<<10+1))
	}))
	t.Cleanup(server.Close)
	for bound, fits := range map[int]bool{0: false, 256 << 10: false, 256<<10 + 1: true} {
		caller := providers.NewCaller(providers.CallerConfig{Vendor: "acme", MaxAnswerBytes: bound})
		r, err := providers.NewRequest(t.Context(), http.MethodGet, server.URL, "", nil)
		require.NoError(t, err)
		_, _, err = caller.Do(t.Context(), "op", r, http.StatusOK)
		assert.Equal(t, fits, err == nil, "%d: %v", bound, err)
	}
}

func TestNewRequest(t *testing.T) {
	t.Parallel()
	get, err := providers.NewRequest(t.Context(), http.MethodGet, "https://acme.example/a", "", nil)
	require.NoError(t, err)
	assert.Equal(t, http.Header{"Accept": {"application/json"}}, get.Header)
	assert.Nil(t, get.Body)

	post, err := providers.NewRequest(t.Context(), http.MethodPost, "https://acme.example/a", "token", map[string]string{"a": "b"})
	require.NoError(t, err)
	assert.Equal(t, http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/json"}, "Authorization": {"Bearer token"},
	}, post.Header)
	for range 2 {
		body, err := post.GetBody()
		require.NoError(t, err)
		content, err := io.ReadAll(body)
		require.NoError(t, err)
		assert.JSONEq(t, `{"a":"b"}`, string(content))
	}

	_, err = providers.NewRequest(t.Context(), http.MethodGet, "https://acme.example/\x00canary", "", nil)
	assert.Equal(t, providers.ErrNoRequest, err)
	_, err = providers.NewRequest(t.Context(), http.MethodPost, "https://acme.example/", "", func() {})
	assert.Equal(t, providers.ErrNoRequest, err)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
