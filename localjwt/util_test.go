package localjwt_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

const audience = "https://api.example"

// bubble runs test in a synctest bubble, with an issuer that is not dialled:
// fetches go through a RoundTripper, because network input does not stop with the
// clock of the bubble.
func bubble(t *testing.T, test func(t *testing.T, as *issuer)) {
	t.Helper()
	t.Parallel()
	server := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(server.Close)
	server.Keys() // makes the first key outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		test(t, &issuer{Server: server})
	})
}

// pass waits for d in the time of the bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// restart makes as publish the keys of other, which have the same names. It returns
// a function that mints tokens with those keys.
func (as *issuer) restart(t *testing.T, other *oauthztest.Server) (mint func() string) {
	t.Helper()
	require.Equal(t, as.Keys(), other.Keys())
	as.answer(fixed(200, string(other.JWKS())))
	return func() string { return other.Mint(oauthztest.Claims{"iss": as.Issuer()}) }
}

// issuer is the authorization server, as a RoundTripper.
type issuer struct {
	*oauthztest.Server
	fetches atomic.Int64

	mu      sync.Mutex
	respond func(r *http.Request) *http.Response // nil: the key set
}

// answer sets the response from now on; nil is the key set. If respond returns nil,
// the request hangs until its caller cancels it.
func (as *issuer) answer(respond func(r *http.Request) *http.Response) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.respond = respond
}

func (as *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	as.fetches.Add(1)
	as.mu.Lock()
	respond := as.respond
	as.mu.Unlock()
	if respond == nil {
		return reply(200, string(as.JWKS())), nil
	}
	if answer := respond(r); answer != nil {
		return answer, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func hang(*http.Request) *http.Response { return nil }

// fixed returns a function for issuer.answer that always returns the same response.
func fixed(status int, body string, header ...string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response { return reply(status, body, header...) }
}

func reply(status int, body string, header ...string) *http.Response {
	answer := &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}
	for i := 0; i+1 < len(header); i += 2 {
		answer.Header.Set(header[i], header[i+1])
	}
	return answer
}

// config returns the configuration of an introspector for as, with the changes.
func (as *issuer) config(changes ...func(*localjwt.Config)) localjwt.Config {
	cfg := localjwt.Config{
		Issuer: as.Issuer(), Audience: []string{audience}, JWKSURL: as.JWKSURL(),
		HTTPClient: &http.Client{Transport: as}, Logger: slog.New(slog.DiscardHandler),
	}
	for _, change := range changes {
		change(&cfg)
	}
	return cfg
}

// introspector returns an introspector for as, with the changes to its
// configuration.
func (as *issuer) introspector(t *testing.T, changes ...func(*localjwt.Config)) *localjwt.Introspector {
	t.Helper()
	in, err := localjwt.New(t.Context(), as.config(changes...))
	require.NoError(t, err)
	return in
}

// answer is the response to a request.
type answer struct {
	status     int
	retryAfter string
}

var (
	ok      = answer{status: 204}
	refused = answer{status: 401}
)

// unavailable returns a 503 with this Retry-After.
func unavailable(retryAfter string) answer { return answer{503, retryAfter} }

// send sends a request with token through a Guard that uses in.
func send(t *testing.T, in oauthz.Introspector, token string) answer {
	t.Helper()
	guard, err := oauthz.New(oauthz.Config{Introspector: in})
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	got := answer{w.Code, w.Header().Get("Retry-After")}
	if got.status == 503 {
		require.Empty(t, w.Header().Get("WWW-Authenticate"), "a client must not drop its token because of a fault")
	}
	return got
}

// mintUnknown returns a token of the issuer whose kid is not in the key set.
func (as *issuer) mintUnknown(kid string, claims oauthztest.Claims) string {
	return as.Mint(claims, oauthztest.WithHeader("kid", kid))
}

func server(t *testing.T, cfg oauthztest.Config) *oauthztest.Server {
	t.Helper()
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	as := oauthztest.NewServer(cfg)
	t.Cleanup(as.Close)
	return as
}

// discovering returns an introspector that has only the issuer, so that it
// discovers the keys over real HTTP.
func discovering(t *testing.T, as *oauthztest.Server, changes ...func(*localjwt.Config)) *localjwt.Introspector {
	t.Helper()
	cfg := localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, Logger: slog.New(slog.DiscardHandler)}
	for _, change := range changes {
		change(&cfg)
	}
	in, err := localjwt.New(t.Context(), cfg)
	require.NoError(t, err)
	return in
}

func fixedKeys(t *testing.T, as *oauthztest.Server, set string) *localjwt.Introspector {
	t.Helper()
	in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, JWKS: json.RawMessage(set)})
	require.NoError(t, err)
	return in
}

// forge returns token with the signature of another token.
func forge(token, of string) string {
	return token[:strings.LastIndexByte(token, '.')] + of[strings.LastIndexByte(of, '.'):]
}

// tally counts answers by their status.
type tally struct {
	mu       sync.Mutex
	statuses map[int]int
}

func (c *tally) count(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses == nil {
		c.statuses = map[int]int{}
	}
	c.statuses[status]++
}

// repeat calls f at each step, for the time d.
func repeat(step, d time.Duration, f func()) {
	for end := time.Now().Add(d); time.Now().Before(end); <-time.After(step) {
		f()
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
