package endpoint_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// noon is the time in all tests.
var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// The client in the tests. Its id and its secret both need the encoding of RFC 6749 §2.3.1.
const (
	client = "orders api:1"
	secret = "p@ss:w%rd+/=&ü"
)

// clients returns an authenticator that knows one client.
func clients() endpoint.ClientAuthenticator {
	return endpoint.ClientSecret(func(_ context.Context, id string, s oauthz.Secret) error {
		if id != client || s != secret {
			return fmt.Errorf("%w: unknown", endpoint.ErrInvalidClient)
		}
		return nil
	})
}

// answers returns an introspector that always gives the same answer.
func answers(t *oauthz.Token, err error) oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return t, err })
}

// claims returns an introspector that accepts every string as a token with these claims.
func claims(t testing.TB, json string) oauthz.Introspector {
	t.Helper()
	return answers(parseToken(t, json), nil)
}

func parseToken(t testing.TB, json string) *oauthz.Token {
	t.Helper()
	token, err := oauthz.ParseToken([]byte(json))
	require.NoError(t, err)
	return token
}

// introspectorSpy records the tokens that it receives.
type introspectorSpy struct {
	next oauthz.Introspector

	mu     sync.Mutex
	tokens []string
}

func (a *introspectorSpy) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens = append(a.tokens, token)
	return a.next.Introspect(ctx, token)
}

// recorder is a Revoker that keeps the revocations, unless it fails.
type recorder struct {
	err error

	mu   sync.Mutex
	revs []oauthz.Revocation
}

func (r *recorder) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.revs = append(r.revs, revs...)
	}
	return r.err
}

// fixedList is a RevocationList that always gives the same answer.
type fixedList struct {
	revoked bool
	err     error
}

func (l fixedList) Revoked(context.Context, *oauthz.Token) (bool, error) { return l.revoked, l.err }

// reports collects the errors that a handler reports.
type reports struct {
	mu   sync.Mutex
	errs []error
}

func (r *reports) add(_ context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func introspectionHandler(t testing.TB, cfg endpoint.IntrospectionConfig) http.Handler {
	t.Helper()
	if cfg.Introspector == nil {
		cfg.Introspector = claims(t, `{"sub":"alice"}`)
	}
	if cfg.Auth == nil {
		cfg.Auth = clients()
	}
	if cfg.Report == nil {
		cfg.Report = func(context.Context, error) {}
	}
	cfg.Now = atNoon
	h, err := endpoint.Introspection(cfg)
	require.NoError(t, err)
	return h
}

func revocationHandler(t testing.TB, cfg endpoint.RevocationConfig) http.Handler {
	t.Helper()
	if cfg.Auth == nil {
		cfg.Auth = clients()
	}
	if cfg.Report == nil {
		cfg.Report = func(context.Context, error) {}
	}
	cfg.Now = atNoon
	h, err := endpoint.Revocation(cfg)
	require.NoError(t, err)
	return h
}

// post returns a request with form and the credentials of the client.
func post(form url.Values) *http.Request {
	r := postRaw(form.Encode())
	r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret))
	return r
}

func postToken() *http.Request { return post(url.Values{"token": {"opaque"}}) }

// postRaw returns a request with a form content type and any body, without credentials.
func postRaw(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func basicHeader(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// answer is the response that a client gets, without the two headers that every response has.
type answer struct {
	status int
	header string // "Name: value" lines, sorted by name
	body   string
}

// serve returns the answer, and checks the headers that every response has.
func serve(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := w.Result()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	assert.Equal(t, []string{"no-store"}, got.Header.Values("Cache-Control"))
	assert.Equal(t, []string{"nosniff"}, got.Header.Values("X-Content-Type-Options"))
	got.Header.Del("Cache-Control")
	got.Header.Del("X-Content-Type-Options")
	var header strings.Builder
	require.NoError(t, got.Header.Write(&header))
	return answer{got.StatusCode, strings.ReplaceAll(strings.TrimSpace(header.String()), "\r\n", "\n"), string(body)}
}

const isJSON = "Content-Type: application/json"

// The possible answers.
var (
	inactive       = answer{200, isJSON, `{"active":false}`}
	revokedAnswer  = answer{200, "", ""}
	unavailable    = answer{503, isJSON + "\nRetry-After: 5", `{"error":"temporarily_unavailable"}`}
	serverError    = answer{500, isJSON, `{"error":"server_error"}`}
	notPost        = answer{405, "Allow: POST\n" + isJSON, `{"error":"invalid_request"}`}
	invalidClient  = answer{401, isJSON + "\nWww-Authenticate: Basic realm=\"oauth\"", `{"error":"invalid_client"}`}
	notAForm       = invalidRequest("The body must be application/x-www-form-urlencoded")
	malformed      = invalidRequest("The body is malformed")
	repeated       = invalidRequest("A parameter is repeated")
	noToken        = invalidRequest("The parameter token is missing")
	badCredentials = invalidRequest("The client credentials are malformed, or sent in more than one way")
	otherClient    = invalidRequest("The parameter client_id names another client")
)

func invalidRequest(description string) answer {
	return answer{400, isJSON, fmt.Sprintf(`{"error":"invalid_request","error_description":"%s"}`, description)}
}

func activeAnswer(members string) answer { return answer{200, isJSON, members} }

// refusedBy returns the answer of a Guard of this realm. params are added to the challenge.
func refusedBy(realm string, status int, code, description, params string) answer {
	return answer{
		status, fmt.Sprintf("%s\nWww-Authenticate: Bearer realm=\"%s\", error=\"%s\", error_description=\"%s\"%s", isJSON, realm, code, description, params),
		fmt.Sprintf(`{"error":"%s","error_description":"%s"}`, code, description),
	}
}
