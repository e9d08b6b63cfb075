package jose_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
	"github.com/oauthz/oauthz/oauthztest"
)

var limits = jose.Limits{Token: 4096, Header: 1024}

func b64(raw ...byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// server returns an issuer, whose keys are for ES256 by default.
func server(t *testing.T, cfg oauthztest.Config) *oauthztest.Server {
	t.Helper()
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	as := oauthztest.NewServer(cfg)
	t.Cleanup(as.Close)
	as.Keys() // makes the first key
	return as
}

func parse(t *testing.T, token string) *jose.JWS {
	t.Helper()
	j, err := jose.Parse(token, limits)
	require.NoError(t, err)
	return &j
}

// roundTripper answers the requests of a fetch.Client.
type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func client(respond roundTripper) *fetch.Client {
	return fetch.New(fetch.Config{
		HTTPClient: &http.Client{Transport: respond}, MaxBytes: 1 << 20, Timeout: 10 * time.Second, Concurrency: 1,
	})
}

func reply(status int, body string, header ...string) *http.Response {
	answer := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	for i := 0; i+1 < len(header); i += 2 {
		answer.Header.Add(header[i], header[i+1])
	}
	return answer
}
