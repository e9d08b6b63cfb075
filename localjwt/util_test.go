package localjwt_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

// bubble runs test in a bubble of its own time, with an issuer whose server is
// never dialled: fetches go through a RoundTripper, for the network would not
// stand still with the clock.
func bubble(t *testing.T, test func(t *testing.T, as *issuer)) {
	t.Helper()
	t.Parallel()
	server := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(server.Close)
	server.Keys() // makes the first key, outside
	synctest.Test(t, func(t *testing.T) {
		test(t, &issuer{Server: server})
	})
}

// pass lets the time of the bubble pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// issuer is the authorization server, as a RoundTripper.
type issuer struct {
	*oauthztest.Server
	fetches atomic.Int64

	mu      sync.Mutex
	respond func(r *http.Request) *http.Response // nil: the key set
}

// answer sets what is answered from now on; nil is the key set again. A nil
// response is no answer until the caller gives up.
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

// fixed answers always the same.
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

// config is that of an introspector for as, with the changes.
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

// introspector is one for as, with the changes to its configuration.
func (as *issuer) introspector(t *testing.T, changes ...func(*localjwt.Config)) *localjwt.Introspector {
	t.Helper()
	in, err := localjwt.New(t.Context(), as.config(changes...))
	require.NoError(t, err)
	return in
}

// answer is what a request got.
type answer struct {
	status     int
	retryAfter string
}

var (
	ok      = answer{status: 204}
	refused = answer{status: 401}
)

// unavailable is 503 with a Retry-After of so many seconds.
func unavailable(retryAfter string) answer { return answer{503, retryAfter} }

// ask sends a request with token through a Guard over in.
func ask(t *testing.T, in oauthz.Introspector, token string) answer {
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
		require.Empty(t, w.Header().Get("WWW-Authenticate"), "a fault is no reason to drop a token")
	}
	return got
}

// bogus is a token of the issuer's that names a key nobody has published.
func (as *issuer) bogus(kid string, claims oauthztest.Claims) string {
	return as.Mint(claims, oauthztest.WithHeader("kid", kid))
}

// panicking is a logger that panics.
func panicking() *slog.Logger { return slog.New(panicHandler{slog.DiscardHandler}) }

type panicHandler struct{ slog.Handler }

func (panicHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (panicHandler) Handle(context.Context, slog.Record) error { panic("logger") }
func (h panicHandler) WithAttrs([]slog.Attr) slog.Handler      { return h }
