package oauthztest_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/oauthztest"
)

// patience bounds every wait. Only a broken server takes that long.
const patience = 20 * time.Second

// start returns a server with keys that are quick to make. The server ends with the test.
func start(t *testing.T, cfg oauthztest.Config) *oauthztest.Server {
	t.Helper()
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	s := oauthztest.NewServer(cfg)
	t.Cleanup(s.Close)
	return s
}

// do sends a request with the server's client and returns the response and its body.
func do(t *testing.T, s *oauthztest.Server, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := s.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func get(t *testing.T, s *oauthztest.Server, url string) (*http.Response, string) {
	t.Helper()
	return do(t, s, request(t, http.MethodGet, url, nil))
}

func post(t *testing.T, s *oauthztest.Server, url string, form url.Values) (*http.Response, string) {
	t.Helper()
	return do(t, s, request(t, http.MethodPost, url, form))
}

func request(t *testing.T, method, url string, form url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// TestServerLeavesNothingBehind does not run in parallel: it counts the goroutines of the process.
func TestServerLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	s := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	s.Inject(oauthztest.EndpointIntrospection, oauthztest.Hang())
	s.Inject(oauthztest.EndpointJWKS, oauthztest.SlowBody(time.Hour))

	var waiting, begun sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}}
	for range 5 {
		begun.Add(1)
		waiting.Go(func() {
			_, err := client.PostForm(s.IntrospectionURL(), url.Values{"token": {"x"}})
			assert.Error(t, err, "Hang answers nothing, not even when the server closes")
		})
		waiting.Go(func() {
			resp, err := client.Get(s.JWKSURL())
			begun.Done()
			if assert.NoError(t, err, "SlowBody sends the headers at once") {
				_, err = io.ReadAll(resp.Body)
				assert.Error(t, err)
				resp.Body.Close()
			}
		})
	}
	awaitCount(t, s, oauthztest.EndpointIntrospection, 5)
	begun.Wait()

	closed := time.Now()
	s.Close()
	assert.Less(t, time.Since(closed), patience/2, "Close is prompt")
	waiting.Wait()
	client.CloseIdleConnections()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "%d goroutines before, %d after", before, runtime.NumGoroutine())
	}
	s.Close()
}

// awaitCount blocks until e has received n requests.
func awaitCount(t *testing.T, s *oauthztest.Server, e oauthztest.Endpoint, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.Count(e) < n; runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "%s got %d requests, not %d", e, s.Count(e), n)
	}
}

func TestServerOutage(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	issuer, token := s.Issuer(), s.MintOpaque(nil)
	_, before := get(t, s, s.JWKSURL())

	s.Stop()
	s.Stop()
	_, err := s.Client().Get(s.JWKSURL())
	require.ErrorContains(t, err, "refused")
	while := s.Mint(nil)

	s.Start()
	s.Start()
	assert.Equal(t, issuer, s.Issuer())
	_, after := get(t, s, s.JWKSURL())
	assert.Equal(t, before, after, "the keys are the same")
	assert.Equal(t, true, introspect(t, s, token)["active"], "tokens are known as before")
	assert.Equal(t, true, introspect(t, s, while)["active"])
	assert.Equal(t, 2, s.Count(oauthztest.EndpointJWKS), "refused requests do not arrive")

	s.Close()
	assert.PanicsWithValue(t, "oauthztest: start: the server is closed", s.Start)
}

func TestServerStopCutsRequestsInFlight(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.Inject(oauthztest.EndpointJWKS, oauthztest.Hang())
	failed := make(chan error, 1)
	go func() {
		_, err := s.Client().Get(s.JWKSURL())
		failed <- err
	}()
	awaitCount(t, s, oauthztest.EndpointJWKS, 1)
	s.Stop()
	require.Error(t, <-failed)

	s.Heal(oauthztest.EndpointJWKS)
	s.Start()
	resp, _ := get(t, s, s.JWKSURL())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestServerWaitsForHijackers(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	hijacked, returned := make(chan struct{}), make(chan struct{})
	s.Inject(oauthztest.EndpointJWKS, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		assert.NoError(t, err)
		close(hijacked)
		<-r.Context().Done()
		assert.NoError(t, conn.Close())
		close(returned)
	})
	go func() { _, _ = s.Client().Get(s.JWKSURL()) }()
	<-hijacked
	s.Close()
	select {
	case <-returned:
	default:
		assert.Fail(t, "Close returned before the handler")
	}
}

// TestServerAddr does not run in parallel: another test might get the port that it releases.
func TestServerAddr(t *testing.T) {
	s := start(t, oauthztest.Config{})
	s.Close()
	addr := strings.TrimPrefix(s.Issuer(), "http://")

	again := start(t, oauthztest.Config{Addr: addr})
	assert.Equal(t, s.Issuer(), again.Issuer())
	assert.Panics(t, func() { oauthztest.NewServer(oauthztest.Config{Addr: addr}) }, "the port is taken")
}

func TestNewServerRefusesMistakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  oauthztest.Config
		want string
	}{
		{name: "algorithm", cfg: oauthztest.Config{Algorithm: "HS256"}, want: "Algorithm"},
		{name: "empty audience", cfg: oauthztest.Config{Audience: []string{"a", ""}}, want: "Audience"},
		{name: "secret without id", cfg: oauthztest.Config{ClientSecret: "s"}, want: "ClientSecret"},
		{name: "id without secret", cfg: oauthztest.Config{ClientID: "c"}, want: "ClientID"},
		{name: "relative path", cfg: oauthztest.Config{Path: "tenant1"}, want: "Path"},
		{name: "path of two spellings", cfg: oauthztest.Config{Path: "/tenant 1"}, want: "Path"},
		{name: "path with a slash at the end", cfg: oauthztest.Config{Path: "/tenant1/"}, want: "Path"},
		{name: "slash alone", cfg: oauthztest.Config{Path: "/"}, want: "Path"},
		{name: "address without port", cfg: oauthztest.Config{Addr: "127.0.0.1"}, want: "Addr"},
		{name: "address that others reach", cfg: oauthztest.Config{Addr: "0.0.0.0:0"}, want: "Addr"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.ErrorContains(t, panicked(t, func() { oauthztest.NewServer(tt.cfg) }), "oauthztest: config: "+tt.want+": ")
		})
	}
	t.Run("all at once", func(t *testing.T) {
		t.Parallel()
		err := panicked(t, func() { oauthztest.NewServer(oauthztest.Config{Algorithm: "none", Path: "x", Addr: "y"}) })
		for _, want := range []string{"Algorithm", "Path", "Addr"} {
			assert.ErrorContains(t, err, want)
		}
	})
}

// panicked returns the error that f panics with.
func panicked(t *testing.T, f func()) (err error) {
	t.Helper()
	defer func() {
		var ok bool
		err, ok = recover().(error)
		require.True(t, ok, "no panic with an error")
	}()
	f()
	return nil
}

// change changes the keys, tokens, faults, counts and the state of a server.
func change(s *oauthztest.Server) {
	old := s.Keys()[0]
	kid := s.RotateUnpublished()
	s.Publish(kid)
	s.SetKeyMember(kid, "use", oauthztest.Absent)
	s.Withdraw(old)
	s.SetCacheControl("max-age=1")
	s.Revoke(s.MintOpaque(nil))
	s.Inject(oauthztest.EndpointJWKS, oauthztest.Truncated())
	s.Heal(oauthztest.EndpointJWKS)
	s.Count(oauthztest.EndpointJWKS)
	s.ResetCounts()
	s.Stop()
	s.Start()
}

func TestServerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var clients, changes sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if resp, err := s.Client().Get(s.JWKSURL()); err == nil {
					resp.Body.Close()
				}
				if resp, err := s.Client().PostForm(s.IntrospectionURL(), url.Values{"token": {s.Mint(nil)}}); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	for range 4 {
		changes.Go(func() {
			for range 10 {
				change(s)
			}
		})
	}
	changes.Wait()
	cancel()
	clients.Wait()
	resp, _ := get(t, s, s.JWKSURL())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}
