package authzecho4_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho4"
)

var (
	read   = oauthz.Require("orders:read")
	write  = oauthz.Require("orders:write")
	secret = "secret-host" // is in causes, and must never be in an answer
)

// issuer is an introspector that knows two users, and records its calls.
type issuer struct {
	mu    sync.Mutex
	asked []string
}

func (i *issuer) Introspect(_ context.Context, token string) (*oauthz.Token, error) {
	i.mu.Lock()
	i.asked = append(i.asked, token)
	i.mu.Unlock()
	switch token {
	case "alice", "bob":
		return oauthz.ParseToken([]byte(`{"sub":"` + token + `","scope":"orders:read"}`))
	case "fault":
		return nil, errors.New("connect: " + secret)
	case "panic":
		panic(secret)
	default:
		return nil, oauthz.ErrInvalidToken
	}
}

func newGuard(t *testing.T, cfg oauthz.Config) *oauthz.Guard {
	t.Helper()
	if cfg.Introspector == nil {
		cfg.Introspector = &issuer{}
	}
	guard, err := oauthz.New(cfg)
	require.NoError(t, err)
	return guard
}

func protect(guard *oauthz.Guard, req oauthz.Requirement) echo.MiddlewareFunc {
	return authzecho4.Protect(guard, req)
}

// answer is the part of a response that the tests compare.
type answer struct {
	status                            int
	challenge, contentType, retryWhen string
	body                              string // decoded
}

// start starts a server.
func start(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // some hooks panic
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// call sends a request and returns the response as a client without automatic decompression gets it.
func call(t *testing.T, url, method, path, bearer string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	got, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	var body io.Reader = got.Body
	if got.Header.Get("Content-Encoding") == "gzip" && method != http.MethodHead {
		body, err = gzip.NewReader(body)
		require.NoError(t, err)
	}
	content, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, got.Body.Close())
	assert.LessOrEqual(t, len(got.Header.Values("WWW-Authenticate")), 1)
	return answer{got.StatusCode, got.Header.Get("WWW-Authenticate"), got.Header.Get("Content-Type"), got.Header.Get("Retry-After"), string(content)}
}

// quiet returns an Echo that logs nothing.
func quiet(errorHandler echo.HTTPErrorHandler) *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.StdLogger.SetOutput(io.Discard)
	if errorHandler != nil {
		e.HTTPErrorHandler = errorHandler
	}
	return e
}

// mustNotRun is a handler that fails t.
func mustNotRun(t *testing.T) echo.HandlerFunc {
	return func(c echo.Context) error {
		t.Error("a handler ran")
		return c.NoContent(http.StatusOK)
	}
}

// hello answers with the subject of the token.
func hello(c echo.Context) error {
	token, ok := authzecho4.TokenFrom(c)
	if !ok {
		return c.String(http.StatusOK, "hello")
	}
	return c.String(http.StatusOK, "hello "+token.Subject)
}
