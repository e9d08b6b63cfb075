package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The APIs that oidcprovider/server.mjs issues tokens for: JWTs for the first two, opaque ones for the others.
const (
	orders  = "https://api.example/orders"
	billing = "https://api.example/billing"
	reports = "https://api.example/reports"
	archive = "https://api.example/archive"
)

// algorithms are those that oidcprovider/server.mjs signs with. Each has a client of its own.
var algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

func clientID(algorithm string) string { return "client-" + strings.ToLower(algorithm) }

// A provider is one oidc-provider with its own port and keys. It may be stopped and started again.
type provider struct {
	issuer string

	folder      string // of server.mjs
	port        int
	jwksFile    string
	keys        []privateJWK // newest first: the server signs with the first that fits
	clientsFile string
	tlsFile     string // empty: no https

	process *process // the last one that was started
	log     logBuffer
}

// startProvider starts a provider that ends with the test. clients may introspect.
func startProvider(t *testing.T, clients ...clientMetadata) *provider {
	t.Helper()
	p := newProvider(t, clients...)
	p.start(t)
	return p
}

// newProvider makes a provider that has not been started.
func newProvider(t *testing.T, clients ...clientMetadata) *provider {
	t.Helper()
	port, files := freePort(t), t.TempDir()
	p := &provider{
		issuer:      fmt.Sprintf("http://127.0.0.1:%d", port),
		folder:      oidcProviderFolder(t),
		port:        port,
		jwksFile:    filepath.Join(files, "jwks.json"),
		clientsFile: filepath.Join(files, "clients.json"),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("oidc-provider and localjwt said:\n%s", p.log.String())
		}
	})
	p.addKeys(t, newKeys(t, 1))
	writeJSON(t, p.clientsFile, append([]clientMetadata{}, clients...)) // [], not null
	return p
}

// freePort returns a free loopback port below the range of ephemeral ports (32768 and up on Linux). A port of that range
// could be used for an outgoing connection of another program while the provider is down.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	t.Fatal("no free port between 20000 and 32000")
	return 0
}

// start runs the server and blocks until it listens.
func (p *provider) start(t *testing.T) {
	t.Helper()
	node := exec.Command("node", filepath.Join(p.folder, "server.mjs"))
	node.Dir = filepath.Dir(p.jwksFile)
	node.Env = append(os.Environ(),
		fmt.Sprintf("PORT=%d", p.port), "JWKS_FILE="+p.jwksFile, "CLIENTS_FILE="+p.clientsFile, "TLS_FILE="+p.tlsFile)
	p.process = startProcess(t, node, &p.log)
}

// stop kills the server.
func (p *provider) stop(t *testing.T) {
	t.Helper()
	p.process.kill(t)
}

// rotate makes the server sign with new keys and still publish the old ones. In-flight requests are not disturbed.
func (p *provider) rotate(t *testing.T, keys []privateJWK) {
	t.Helper()
	p.addKeys(t, keys)
	p.process.tell(t, "reload")
	p.process.expect(t, "reloaded")
}

// addKeys puts keys before the existing ones in the file that the server reads.
func (p *provider) addKeys(t *testing.T, keys []privateJWK) {
	t.Helper()
	p.keys = slices.Concat(keys, p.keys)
	writeJSON(t, p.jwksFile, map[string]any{"keys": p.keys})
}

func writeJSON(t *testing.T, file string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, raw, 0o600))
}

// refreshToken gets a refresh token for reports, with the scopes orders:read and orders:write.
func (p *provider) refreshToken(t *testing.T) string {
	t.Helper()
	p.process.tell(t, "refresh")
	return p.process.expect(t, "refresh ")
}

// mint gets an access token by client credentials (RFC 6749 §4.4) for one resource (RFC 8707), or for none.
func (p *provider) mint(ctx context.Context, algorithm, resource, scope string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	if resource != "" {
		form.Set("resource", resource)
	}
	id := clientID(algorithm)
	return requestToken(ctx, p.issuer+"/token", id, id+"-secret", form)
}

// revoke revokes a token, as the client that it was issued to (RFC 7009).
func (p *provider) revoke(t *testing.T, algorithm, token string) {
	t.Helper()
	id := clientID(algorithm)
	response, err := postForm(t.Context(), p.issuer+"/token/revocation", id, id+"-secret", url.Values{"token": {token}})
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// postForm sends a form as a client that has a simple secret. The caller closes the response.
func postForm(ctx context.Context, place, id, secret string, form url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, place, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(id, secret)
	return mintClient.Do(request)
}

// requestToken requests an access token at a token endpoint (RFC 6749 §3.2).
func requestToken(ctx context.Context, place, id, secret string, form url.Values) (string, error) {
	response, err := postForm(ctx, place, id, secret, form)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("token endpoint: status %d: %w", response.StatusCode, err)
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("token endpoint: status %d: no access token, error %q", response.StatusCode, answer.Error)
	}
	return answer.AccessToken, nil
}

// mustMint does the same as mint, and fails the test on an error. Only the goroutine of the test may call it.
func (p *provider) mustMint(t *testing.T, algorithm, resource, scope string) string {
	t.Helper()
	token, err := p.mint(t.Context(), algorithm, resource, scope)
	require.NoError(t, err)
	return token
}

// mintClient opens a connection for each token: Node closes idle connections after five seconds, and net/http does not
// repeat a POST on a connection that is being closed.
var mintClient = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}
