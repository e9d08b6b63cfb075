package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The two APIs that oidcprovider/server.mjs issues tokens for.
const (
	orders  = "https://api.example/orders"
	billing = "https://api.example/billing"
)

// algorithms are those that oidcprovider/server.mjs signs with. Each has a client of its own.
var algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

func clientID(algorithm string) string { return "client-" + strings.ToLower(algorithm) }

// A provider is one oidc-provider on a port and with keys of its own. It may be stopped and started again.
type provider struct {
	issuer string

	folder   string // of server.mjs
	port     int
	jwksFile string
	keys     []privateJWK // newest first: the server signs with the first that fits

	process *exec.Cmd // nil while it is stopped
	stdin   io.Writer
	said    <-chan string // the lines of its stdout
	log     logBuffer
}

// startProvider starts a provider that ends with the test.
func startProvider(t *testing.T) *provider {
	t.Helper()
	port := freePort(t)
	p := &provider{
		issuer:   fmt.Sprintf("http://127.0.0.1:%d", port),
		folder:   oidcProviderFolder(t),
		port:     port,
		jwksFile: filepath.Join(t.TempDir(), "jwks.json"),
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("oidc-provider and localjwt said:\n%s", p.log.String())
		}
	})
	p.addKeys(t, newKeys(t, 1))
	p.start(t)
	return p
}

// freePort finds a loopback port below the range that systems hand out by themselves (32768 and up on Linux). A port
// of that range could be given to somebody's outgoing connection while the provider is down and wants it back.
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

// start runs the server and returns when it listens.
func (p *provider) start(t *testing.T) {
	t.Helper()
	node := exec.Command("node", filepath.Join(p.folder, "server.mjs"))
	node.Dir = filepath.Dir(p.jwksFile)
	node.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", p.port), "JWKS_FILE="+p.jwksFile)
	node.Stderr = &p.log
	stdin, err := node.StdinPipe()
	require.NoError(t, err)
	stdout, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	p.process, p.stdin, p.said = node, stdin, lines(stdout)
	p.expect(t, "ready")
}

// stop kills the server by its process id, as an outage would, and waits until it is gone.
func (p *provider) stop(t *testing.T) {
	t.Helper()
	if p.process == nil {
		return
	}
	if err := p.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill oidc-provider: %v", err)
	}
	for range p.said { // Wait may be called only after stdout has been read to its end
	}
	_ = p.process.Wait() // says that it was killed
	p.process = nil
}

// rotate makes the server sign with new keys and go on publishing the old ones. Requests under way are not disturbed.
func (p *provider) rotate(t *testing.T, keys []privateJWK) {
	t.Helper()
	p.addKeys(t, keys)
	_, err := io.WriteString(p.stdin, "reload\n")
	require.NoError(t, err)
	p.expect(t, "reloaded")
}

// addKeys puts keys in front of those there are, in the file that the server reads.
func (p *provider) addKeys(t *testing.T, keys []privateJWK) {
	t.Helper()
	p.keys = slices.Concat(keys, p.keys)
	jwks, err := json.Marshal(map[string]any{"keys": p.keys})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.jwksFile, jwks, 0o600))
}

// expect waits until the server says a line. It prints notices of its own too, which are passed over.
func (p *provider) expect(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-p.said:
			require.True(t, ok, "oidc-provider ended before it said %q", want)
			if line == want {
				return
			}
		case <-deadline:
			t.Fatalf("oidc-provider did not say %q in 30 seconds", want)
		}
	}
}

// mint gets an access token by client credentials (RFC 6749 §4.4) for one resource (RFC 8707).
func (p *provider) mint(ctx context.Context, algorithm, resource, scope string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {scope}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(clientID(algorithm), clientID(algorithm)+"-secret")
	response, err := mintClient.Do(request)
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

// mustMint is mint for the goroutine of a test.
func (p *provider) mustMint(t *testing.T, algorithm, resource, scope string) string {
	t.Helper()
	token, err := p.mint(t.Context(), algorithm, resource, scope)
	require.NoError(t, err)
	return token
}

// mintClient opens a connection for each token: Node closes idle ones after five seconds, and a POST that meets such a
// closing connection is not sent again by net/http.
var mintClient = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// lines sends what r says, line by line, and closes the channel at its end.
func lines(r io.Reader) <-chan string {
	out := make(chan string, 64)
	go func() {
		defer close(out)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			out <- scanner.Text()
		}
	}()
	return out
}

// A logBuffer keeps what was logged, for a test that failed.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
