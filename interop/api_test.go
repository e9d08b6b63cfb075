package interop_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

// An api is a resource server that the library protects. Its handler answers with fields of the token.
type api struct {
	*httptest.Server
	audience []string
	served   atomic.Int64 // how many times the handler ran
}

// seen has the fields of the token that a handler got from [oauthz.TokenFrom].
type seen struct {
	Issuer, ClientID string
	Audience, Scopes []string
}

// newAPI serves the route of [serve] for tokens of p that localjwt verifies. The log of localjwt goes to that of the provider.
func newAPI(t *testing.T, p *provider, cfg localjwt.Config) *api {
	t.Helper()
	cfg.Issuer = p.issuer
	cfg.Logger = slog.New(slog.NewTextHandler(&p.log, nil))
	introspector, err := localjwt.New(t.Context(), cfg)
	require.NoError(t, err)
	return serve(t, oauthz.Config{Introspector: introspector}, cfg.Audience)
}

// serve serves one route that needs the scope orders:read.
func serve(t *testing.T, cfg oauthz.Config, audience []string) *api {
	t.Helper()
	guard, err := oauthz.New(cfg)
	require.NoError(t, err)
	a := &api{audience: audience}
	a.Server = httptest.NewServer(guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(a.handle)))
	t.Cleanup(a.Close)
	return a
}

func (a *api) handle(w http.ResponseWriter, r *http.Request) {
	a.served.Add(1)
	token, ok := oauthz.TokenFrom(r.Context())
	if !ok {
		http.Error(w, "no token in the context", http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(seen{
		Issuer: token.Issuer, ClientID: token.ClientID, Audience: token.Audience, Scopes: token.Scopes,
	})
}

// A reply is a response of an api, with its body.
type reply struct {
	status int
	header http.Header
	body   string
}

// get sends a request with a bearer token; without one if token is empty.
func (a *api) get(ctx context.Context, token string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return reply{}, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := a.Client().Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, body: string(body)}, err
}

// mustGet does the same as get, and fails the test on an error. Only the goroutine of the test may call it.
func (a *api) mustGet(t *testing.T, token string) reply {
	t.Helper()
	r, err := a.get(t.Context(), token)
	require.NoError(t, err)
	return r
}

// retryAfter returns the time in the Retry-After of a 503.
func (r reply) retryAfter() (time.Duration, error) {
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		return 0, fmt.Errorf("Retry-After %q is not a positive number of seconds", r.header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second, nil
}

// A refusal is the expected response to a refused request. Empty members must be absent.
type refusal struct {
	status       int
	error, scope string
}

// assertRefused checks a response against the table of outcomes, and that the handler never ran.
func (a *api) assertRefused(t *testing.T, want refusal, token string) {
	t.Helper()
	before := a.served.Load()
	r := a.mustGet(t, token)
	challenges := r.header.Values("WWW-Authenticate")
	if assert.Len(t, challenges, 1) {
		assert.True(t, strings.HasPrefix(challenges[0], "Bearer "), challenges[0])
		assert.Equal(t, want.error, challengeParameter(challenges[0], "error"))
		assert.Equal(t, want.scope, challengeParameter(challenges[0], "scope"))
		assert.Equal(t, "api", challengeParameter(challenges[0], "realm"))
	}
	var body struct{ Error string }
	assert.NoError(t, json.Unmarshal([]byte(r.body), &body), r.body)
	assert.Equal(t, want.error, body.Error)
	assert.Equal(t, want.status, r.status)
	assert.Equal(t, "no-store", r.header.Get("Cache-Control"))
	assert.Equal(t, before, a.served.Load(), "the handler ran")
}

// challengeParameter returns a quoted parameter of a challenge, or "".
func challengeParameter(challenge, name string) string {
	match := regexp.MustCompile(`[ ,]` + name + `="([^"]*)"`).FindStringSubmatch(challenge)
	if match == nil {
		return ""
	}
	return match[1]
}

// assertUnavailable checks that a response has status 503 and no challenge: with a challenge, a client would discard a token
// that may be valid.
func assertUnavailable(t *testing.T, r reply) {
	t.Helper()
	assert.Equal(t, http.StatusServiceUnavailable, r.status, r.body)
	assert.Empty(t, r.header.Values("WWW-Authenticate"))
	assert.JSONEq(t, `{"error":"temporarily_unavailable"}`, r.body)
	_, err := r.retryAfter()
	assert.NoError(t, err)
}

// A joseHeader has members of the header of a JWT.
type joseHeader struct{ Alg, Typ, Kid string }

func headerOf(token string) (joseHeader, error) {
	first, _, _ := strings.Cut(token, ".")
	var header joseHeader
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return header, err
	}
	return header, json.Unmarshal(raw, &header)
}

// tamper changes the first character of a JWT's signature. All its six bits are part of the signature, which is not certain
// for the last character.
func tamper(token string) string {
	first := strings.LastIndexByte(token, '.') + 1
	other := "A"
	if token[first] == 'A' {
		other = "B"
	}
	return token[:first] + other + token[first+1:]
}
