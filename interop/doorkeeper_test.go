package interop_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// A doorkeeper is one Doorkeeper (https://github.com/doorkeeper-gem/doorkeeper) on a port of its own.
type doorkeeper struct {
	base    string
	process *process
}

// The clients of a doorkeeper: app gets tokens, the others are APIs.
var doorkeeperClients = map[string]string{"app": "app-secret", "api": "api-secret", "special": specialSecret}

// startDoorkeeper starts a Doorkeeper that ends with the test. Without Ruby or the packages the test skips.
func startDoorkeeper(t *testing.T) *doorkeeper {
	t.Helper()
	if err := checkDoorkeeper(); err != nil {
		unavailable(t, err)
	}
	program, err := filepath.Abs(filepath.Join("doorkeeper", "server.rb"))
	require.NoError(t, err)
	folder, port := t.TempDir(), freePort(t)
	writeJSON(t, filepath.Join(folder, "clients.json"), doorkeeperClients)
	ruby := exec.Command("ruby", program)
	ruby.Dir = folder
	ruby.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port), "CLIENTS_FILE=clients.json")
	var log logBuffer
	d := &doorkeeper{base: fmt.Sprintf("http://127.0.0.1:%d", port)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("doorkeeper said:\n%s", log.String())
		}
	})
	d.process = startProcess(t, ruby, &log)
	return d
}

// checkDoorkeeper checks once whether the packages that doorkeeper/server.rb requires are installed.
var checkDoorkeeper = sync.OnceValue(func() error {
	const install = "apt-get install --no-install-recommends ruby-doorkeeper ruby-activerecord ruby-sqlite3 ruby-webrick"
	if _, err := exec.LookPath("ruby"); err != nil {
		return errors.New("ruby is not installed: " + install)
	}
	const activate = `%w[doorkeeper activerecord sqlite3 webrick].each { |name| gem name }`
	if exec.Command("ruby", "-e", activate).Run() != nil {
		return errors.New("doorkeeper, activerecord, sqlite3 or webrick is not installed for ruby: " + install)
	}
	return nil
})

// mint gets an access token by client credentials (RFC 6749 §4.4).
func (d *doorkeeper) mint(t *testing.T, scope string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	token, err := requestToken(t.Context(), d.base+"/oauth/token", "app", doorkeeperClients["app"], form)
	require.NoError(t, err)
	return token
}

func (d *doorkeeper) revoke(t *testing.T, token string) {
	t.Helper()
	response, err := postForm(t.Context(), d.base+"/oauth/revoke", "app", doorkeeperClients["app"], url.Values{"token": {token}})
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// config returns a configuration that introspects at d with the given credentials. Doorkeeper has no metadata, and its
// responses name neither an issuer nor an audience.
func (d *doorkeeper) config(auth remote.ClientAuth) remote.Config {
	return remote.Config{
		Endpoint: d.base + "/oauth/introspect", Issuer: d.base, Auth: auth, InsecureAnyAudience: true,
	}
}

func (d *doorkeeper) assertServed(t *testing.T, a *introspectingAPI, token string) {
	t.Helper()
	want := seen{Issuer: d.base, ClientID: "app", Audience: nil, Scopes: []string{"orders:read"}}
	assertSeen(t, want, a.mustGet(t, token))
}

func TestDoorkeeper(t *testing.T) {
	t.Parallel()
	d := startDoorkeeper(t)
	a := newIntrospectingAPI(t, d.config(remote.Basic("api", "api-secret")))

	t.Run("served", func(t *testing.T) {
		token := d.mint(t, "orders:read")
		d.assertServed(t, a, token)
		a.assertSource(t, oauthz.SourceFresh)
		d.assertServed(t, a, token)
		a.assertSource(t, oauthz.SourceRemembered)
	})
	t.Run("missing scope", func(t *testing.T) {
		a.assertRefused(t, refusal{status: http.StatusForbidden, error: "insufficient_scope", scope: "orders:read"}, d.mint(t, "orders:write"))
	})
	t.Run("unknown", func(t *testing.T) {
		a.assertRefused(t, invalidToken, "no-token-of-this-server")
		a.assertCause(t, oauthz.ErrInactive)
	})
	t.Run("no audience where one is required", func(t *testing.T) {
		cfg := d.config(remote.Basic("api", "api-secret"))
		cfg.Audience, cfg.InsecureAnyAudience = []string{reports}, false
		strict := newIntrospectingAPI(t, cfg)
		strict.assertRefused(t, invalidToken, d.mint(t, "orders:read"))
		strict.assertNotCause(t, oauthz.ErrInactive)
	})
	d.testRevocation(t, a)
	d.testClientAuthentication(t)
	d.testOutage(t, a)
}

// testRevocation checks that the cache serves a revoked token until its TTL ends, or until the cache forgets the token.
func (d *doorkeeper) testRevocation(t *testing.T, a *introspectingAPI) {
	t.Helper()
	t.Run("revoked, refused after the TTL", func(t *testing.T) {
		token := d.mint(t, "orders:read")
		d.assertServed(t, a, token)
		d.revoke(t, token)
		d.assertServed(t, a, token)
		a.pass(cacheTTL)
		a.assertRefused(t, invalidToken, token)
		a.assertCause(t, oauthz.ErrInactive)
	})
	t.Run("revoked, refused once forgotten", func(t *testing.T) {
		token := d.mint(t, "orders:read")
		d.assertServed(t, a, token)
		d.revoke(t, token)
		a.cache.Forget(token)
		a.assertRefused(t, invalidToken, token)
	})
}

func (d *doorkeeper) testClientAuthentication(t *testing.T) {
	for _, tt := range []struct {
		name string
		auth remote.ClientAuth
		asks bool
	}{
		{name: "post", auth: remote.Post("api", "api-secret"), asks: true},
		{name: "post, special secret", auth: remote.Post("special", specialSecret), asks: true},
		// Doorkeeper does not decode Basic credentials, contrary to RFC 6749 §2.3.1.
		{name: "basic, special secret, not encoded", auth: remote.BasicRaw("special", specialSecret), asks: true},
		{name: "basic, special secret", auth: remote.Basic("special", specialSecret)},
		{name: "basic, wrong secret", auth: remote.Basic("api", "guess")}, // 401 with a Bearer challenge, which is not a verdict on the token
		{name: "basic, unknown client", auth: remote.Basic("nobody", "api-secret")},
		{name: "none", auth: remote.None("")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newIntrospectingAPI(t, d.config(tt.auth))
			token := d.mint(t, "orders:read")
			if tt.asks {
				d.assertServed(t, a, token)
				a.assertRefused(t, invalidToken, "no-token-of-this-server")
				return
			}
			assertUnavailable(t, a.mustGet(t, token))
			assertUnavailable(t, a.mustGet(t, "no-token-of-this-server"))
			assert.Zero(t, a.served.Load())
		})
	}
}

func (d *doorkeeper) testOutage(t *testing.T, a *introspectingAPI) {
	t.Run("outage", func(t *testing.T) {
		seenBefore, unseen := d.mint(t, "orders:read"), d.mint(t, "orders:read")
		d.assertServed(t, a, seenBefore)
		d.process.kill(t)
		a.pass(cacheTTL)
		d.assertServed(t, a, seenBefore)
		a.assertSource(t, oauthz.SourceStale)
		assertUnavailable(t, a.mustGet(t, unseen))
	})
}
