package interop_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
)

func TestOIDCProviderOutage(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	cfg := localjwt.Config{Audience: []string{orders}}
	warm := newAPI(t, p, cfg)
	assertServed(t, warm, p, "RS256", p.mustMint(t, "RS256", orders, "orders:read"))
	token := p.mustMint(t, "ES256", orders, "orders:read") // the API does not get it before the outage

	p.stop(t)
	assertServed(t, warm, p, "ES256", token)
	cold := newAPI(t, p, cfg) // an instance that starts during the outage: it has no keys yet
	for range 3 {
		assertUnavailable(t, cold.mustGet(t, token))
	}
	assert.Zero(t, cold.served.Load())

	p.start(t)
	assertRecovers(t, cold, token)
	assertServed(t, cold, p, "ES256", token)
	assertServed(t, warm, p, "RS256", p.mustMint(t, "RS256", orders, "orders:read"))
}

// assertRecovers blocks until an API serves a token again, after the server has started again or has new keys. Until then
// the API must not refuse the token.
func assertRecovers(t *testing.T, a *api, token string) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < 15*time.Second {
		r := a.mustGet(t, token)
		if r.status == http.StatusOK {
			t.Logf("served after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		assertUnavailable(t, r)
		wait, err := r.retryAfter()
		require.NoError(t, err)
		time.Sleep(min(wait, time.Second))
	}
	t.Fatal("no recovery in 15 seconds")
}
