package localjwt_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// Requests with a new key share one fetch over real HTTP, under the race detector.
func TestRequestsShareOneFetchOverHTTP(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	in := discovering(t, as)
	require.Equal(t, ok, send(t, in, as.Mint(nil)))
	before := as.Count(oauthztest.EndpointJWKS)
	as.Rotate()
	token := as.Mint(nil)
	arrived := make(chan struct{})
	as.Inject(oauthztest.EndpointJWKS, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-arrived // the other requests have been started
		next.ServeHTTP(w, r)
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { assert.Equal(t, ok, send(t, in, token)) })
	}
	close(arrived)
	all.Wait()
	assert.Equal(t, before+1, as.Count(oauthztest.EndpointJWKS))
}

// A body beyond the bound allocates no more memory than the bound, and the good
// keys stay. This test measures the allocations of the process, so it is not
// parallel.
func TestHugeKeySetAllocatesNoMoreThanTheBound(t *testing.T) {
	as := server(t, oauthztest.Config{})
	for name, fault := range map[string]oauthztest.Fault{
		"60 MB": oauthztest.Huge(60 << 20), "gzip bomb of 60 MB": oauthztest.GzipBomb(60 << 20),
	} {
		t.Run(name, func(t *testing.T) {
			in := discovering(t, as)
			require.Equal(t, ok, send(t, in, as.Mint(nil)))
			as.Inject(oauthztest.EndpointJWKS, fault)
			defer as.Heal(oauthztest.EndpointJWKS)
			unknown := as.Mint(nil, oauthztest.WithHeader("kid", "bogus"))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			assert.Equal(t, 503, send(t, in, unknown).status)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("allocated %.1f MB in all, for a body of 60 MB; the bound is 1 MB", float64(allocated)/(1<<20))
			assert.Less(t, allocated, uint64(8<<20), "a buffer that grows to the bound, and the buffers of the fake server")
			assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		})
	}
}

// The fetch of a body that arrives slowly ends by FetchTimeout.
func TestSlowBodyIsAFailedFetch(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	in := discovering(t, as, func(cfg *localjwt.Config) { cfg.FetchTimeout = 100 * time.Millisecond })
	require.Equal(t, ok, send(t, in, as.Mint(nil)))
	as.Inject(oauthztest.EndpointJWKS, oauthztest.SlowBody(time.Second))
	assert.Equal(t, 503, send(t, in, as.Mint(nil, oauthztest.WithHeader("kid", "bogus"))).status)
	assert.Equal(t, ok, send(t, in, as.Mint(nil)))
}

// The Content-Type is not checked. The body must be a key set.
func TestContentTypeOfKeySetIsIgnored(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/json", "application/json; charset=UTF-8", "application/jwk-set+json; charset=utf-8", "text/plain", ""} {
		as := server(t, oauthztest.Config{})
		as.Keys()
		as.Inject(oauthztest.EndpointJWKS, oauthztest.Body(contentType, string(as.JWKS())))
		assert.Equal(t, ok, send(t, discovering(t, as), as.Mint(nil)), contentType)
	}
}

// An invalid server certificate is an outage.
func TestInvalidServerCertificateIsAnOutage(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(as.JWKS()) }))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	with := func(client *http.Client) *localjwt.Introspector {
		return discovering(t, as, func(cfg *localjwt.Config) { cfg.JWKSURL, cfg.HTTPClient = web.URL, client })
	}
	assert.Equal(t, 503, send(t, with(nil), as.Mint(nil)).status)
	assert.Equal(t, ok, send(t, with(web.Client()), as.Mint(nil)))
}
