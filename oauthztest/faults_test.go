package oauthztest_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/oauthztest"
)

// answerTests are faults that answer a request, and their answers.
var answerTests = []struct {
	name            string
	fault           oauthztest.Fault
	wantStatus      int
	wantContentType string
	wantBody        string
	wantHeader      map[string]string
}{
	{name: "status", fault: oauthztest.Status(500), wantStatus: 500, wantContentType: "text/plain; charset=utf-8", wantBody: "Internal Server Error\n"},
	{name: "status without a body", fault: oauthztest.Status(204), wantStatus: 204, wantContentType: "text/plain; charset=utf-8"},
	{name: "too many requests", fault: oauthztest.TooManyRequests("17"), wantStatus: 429, wantContentType: "application/json",
		wantBody: `{"error":"too_many_requests"}` + "\n", wantHeader: map[string]string{"Retry-After": "17"}},
	{name: "too many requests, no hint", fault: oauthztest.TooManyRequests(""), wantStatus: 429, wantContentType: "application/json",
		wantBody: `{"error":"too_many_requests"}` + "\n", wantHeader: map[string]string{"Retry-After": ""}},
	{name: "redirect", fault: oauthztest.Redirect("//evil.example/x y"), wantStatus: 307, wantHeader: map[string]string{"Location": "//evil.example/x y"}},
	{name: "body", fault: oauthztest.Body("application/jwt", "{"), wantStatus: 200, wantContentType: "application/jwt", wantBody: "{"},
}

func TestFaultsThatAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range answerTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, oauthztest.Config{})
			client := *s.Client()
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			s.Inject(oauthztest.EndpointIntrospection, tt.fault)
			resp, err := client.PostForm(s.IntrospectionURL(), url.Values{"token": {"x"}})
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, tt.wantStatus, resp.StatusCode)
			assert.Equal(t, tt.wantContentType, resp.Header.Get("Content-Type"))
			assert.Equal(t, tt.wantBody, string(body))
			for name, want := range tt.wantHeader {
				assert.Equal(t, want, resp.Header.Get(name))
			}
			assert.Equal(t, 1, s.Count(oauthztest.EndpointIntrospection))
		})
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Inject(oauthztest.EndpointJWKS, oauthztest.HTML())
	resp, body := get(t, s, s.JWKSURL())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	assert.Contains(t, body, "Sign in")
}

func TestRedirectKeepsTheToken(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	got := make(chan string, 1)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.PostFormValue("token") }))
	defer thief.Close()
	s.Inject(oauthztest.EndpointIntrospection, oauthztest.Redirect(thief.URL))
	post(t, s, s.IntrospectionURL(), url.Values{"token": {"precious"}})
	assert.Equal(t, "precious", <-got, "what a careless client gives away")
}

func TestDown(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Inject(oauthztest.EndpointIntrospection, oauthztest.Down())
	_, err := s.Client().PostForm(s.IntrospectionURL(), nil)
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 1, s.Count(oauthztest.EndpointIntrospection))

	s.Heal(oauthztest.EndpointIntrospection)
	assert.Equal(t, inactive, introspect(t, s, "x"))
	assert.Equal(t, 2, s.Count(oauthztest.EndpointIntrospection))
}

func TestHangEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	returned := make(chan struct{})
	s.Inject(oauthztest.EndpointIntrospection, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		defer close(returned)
		oauthztest.Hang()(w, r, next)
	})
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, http.MethodPost, s.IntrospectionURL(), url.Values{"token": {"x"}}).WithContext(ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := s.Client().Do(r)
		failed <- err
	}()
	awaitCount(t, s, oauthztest.EndpointIntrospection, 1)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	select {
	case <-returned:
	case <-time.After(patience):
		assert.Fail(t, "still hanging")
	}
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Inject(oauthztest.EndpointJWKS, oauthztest.SlowBody(time.Microsecond))
	s.Inject(oauthztest.EndpointIntrospection, oauthztest.SlowBody(0))

	r := request(t, http.MethodGet, s.JWKSURL(), nil)
	r.Header.Set("If-None-Match", "*")
	resp, body := do(t, s, r)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, string(s.JWKS()), body, "right in the end")
	assert.NotEmpty(t, resp.Header.Get("ETag"))
	assert.Equal(t, true, introspect(t, s, s.MintOpaque(nil))["active"])

	resp, _ = post(t, s, s.IntrospectionURL(), nil)
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode, "with the endpoint's own status")
}

func TestSlowBodySendsHeadersAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Inject(oauthztest.EndpointJWKS, oauthztest.SlowBody(time.Hour))
	resp, err := s.Client().Get(s.JWKSURL())
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, int64(len(s.JWKS())), resp.ContentLength)
	s.Stop()
	_, err = io.ReadAll(resp.Body)
	assert.Error(t, err)
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	for endpoint, fetch := range map[oauthztest.Endpoint]func() (*http.Response, error){
		oauthztest.EndpointJWKS: func() (*http.Response, error) { return s.Client().Get(s.JWKSURL()) },
		oauthztest.EndpointRevocation: func() (*http.Response, error) {
			return s.Client().PostForm(s.RevocationURL(), url.Values{"token": {"x"}})
		},
	} {
		s.Inject(endpoint, oauthztest.Truncated())
		resp, err := fetch()
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, endpoint)
		assert.Less(t, int64(len(body)), resp.ContentLength)
		if endpoint == oauthztest.EndpointJWKS {
			assert.Equal(t, string(s.JWKS()[:len(s.JWKS())/2]), string(body))
		}
	}
}

func TestHuge(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	for _, size := range []int64{100, 32 << 10, 3<<20 + 1} {
		s.Inject(oauthztest.EndpointJWKS, oauthztest.Huge(size))
		resp, body := get(t, s, s.JWKSURL())
		assert.Len(t, body, int(size))
		assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		assert.Equal(t, int64(-1), resp.ContentLength, "the size is not announced")
		got := object(t, body)
		assert.Equal(t, []any{}, got["keys"])
		assert.Equal(t, true, got["active"])
	}

	for _, fault := range []oauthztest.Fault{oauthztest.Huge(1 << 60), oauthztest.GzipBomb(1 << 60)} {
		s.Inject(oauthztest.EndpointJWKS, fault)
		resp, err := s.Client().Get(s.JWKSURL())
		require.NoError(t, err)
		_, err = bufio.NewReader(resp.Body).Discard(10 << 20)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	s.Close() // returns, though exabytes are left
}

func TestGzipBomb(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	const size = 5 << 20
	s.Inject(oauthztest.EndpointJWKS, oauthztest.GzipBomb(size))
	resp, body := get(t, s, s.JWKSURL())
	assert.True(t, resp.Uncompressed)
	assert.Len(t, body, size)
	assert.Equal(t, []any{}, object(t, body)["keys"])

	r := request(t, http.MethodGet, s.JWKSURL(), nil)
	r.Header.Set("Accept-Encoding", "identity")
	resp, wire := do(t, s, r)
	assert.Equal(t, "gzip", resp.Header.Get("Content-Encoding"), "whether the client likes it or not")
	assert.Less(t, len(wire), size/500)
	z, err := gzip.NewReader(strings.NewReader(wire))
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, z)
	require.NoError(t, err)
	assert.EqualValues(t, size, n)
}

func TestInject(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Inject(oauthztest.EndpointIntrospection, oauthztest.Status(500))
	resp, _ := post(t, s, s.IntrospectionURL(), nil)
	assert.Equal(t, 500, resp.StatusCode)
	resp, _ = get(t, s, s.JWKSURL())
	assert.Equal(t, 200, resp.StatusCode, "the others are well")

	s.Inject(oauthztest.EndpointIntrospection, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		assert.Equal(t, 2, s.Count(oauthztest.EndpointIntrospection), "counted before the fault acts")
		w.Header().Set("X-Fault", "1")
		next.ServeHTTP(w, r)
	})
	resp, body := post(t, s, s.IntrospectionURL(), url.Values{"token": {"x"}})
	assert.Equal(t, "1", resp.Header.Get("X-Fault"), "the last one injected acts")
	assert.Equal(t, inactive, object(t, body), "on top of the endpoint's own answer")

	s.Heal(oauthztest.EndpointIntrospection)
	s.Heal(oauthztest.EndpointIntrospection)
	resp, _ = post(t, s, s.IntrospectionURL(), url.Values{"token": {"x"}})
	assert.Empty(t, resp.Header.Get("X-Fault"))

	assert.Equal(t, 3, s.Count(oauthztest.EndpointIntrospection))
	assert.Equal(t, 1, s.Count(oauthztest.EndpointJWKS))
	assert.Zero(t, s.Count(oauthztest.EndpointRevocation))
	s.ResetCounts()
	assert.Zero(t, s.Count(oauthztest.EndpointIntrospection))
}

func TestInjectPanicsForMistakes(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	const want = `oauthztest: no such endpoint: "token"`
	assert.PanicsWithValue(t, want, func() { s.Inject("token", oauthztest.Down()) })
	assert.PanicsWithValue(t, want, func() { s.Heal("token") })
	assert.PanicsWithValue(t, want, func() { s.Count("token") })
	assert.PanicsWithValue(t, "oauthztest: inject: nil Fault", func() { s.Inject(oauthztest.EndpointJWKS, nil) })
	assert.PanicsWithValue(t, "oauthztest: no such status: 100", func() { oauthztest.Status(100) })
}
