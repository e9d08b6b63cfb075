package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
)

// A Build returns a server of the framework under test that serves handler behind guard, at every path and for every method.
// It makes one group for each of the requirements except the last, the outermost first, and a route for the last requirement.
// With net/http it is
//
//	func(guard *oauthz.Guard, handler http.HandlerFunc, requirements ...oauthz.Requirement) http.Handler {
//		var h http.Handler = handler
//		for _, req := range slices.Backward(requirements) {
//			h = guard.Protect(req)(h)
//		}
//		return h
//	}
type Build func(guard *oauthz.Guard, handler http.HandlerFunc, requirements ...oauthz.Requirement) http.Handler

// RunOutcomes checks that an adapter answers as net/http does. For every outcome it compares the status, the challenge, the
// other header fields of the refusal and the body, to the byte, and whether the handler ran. It also checks that the adapter
// keeps users apart and guards every method and every version of HTTP, and that it does not change the ResponseWriter, the
// request body, or when the context of the request ends. The test of an adapter calls it, with the race detector on.
func RunOutcomes(t *testing.T, build Build) {
	t.Helper()
	for _, o := range outcomes() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			o.run(t, build)
		})
	}
	for name, run := range map[string]func(*testing.T, Build){
		"alternating users": runUsers, "methods": runMethods, "HTTP 1.0": runHTTP10, "HTTP 2": runHTTP2, "upgrade": runUpgrade, "stream": runStream, "hang up": runHangUp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, build)
		})
	}
}

// outcome is one row: a request to a route, and the expected response. The zero values are a GET without credentials.
type outcome struct {
	name         string
	config       func(*oauthz.Config)
	requirements []oauthz.Requirement // none: Require("orders:read")
	method       string
	target       string
	header       http.Header
	bearer       string // the token of one more Authorization field, if not empty
	body         string

	status     int
	challenge  string
	retryAfter string
	answer     string
	ran        bool
	subject    string // of the token that the handler finds; "": no token
	asked      int64  // how many times the introspector was called
}

// verdicts holds the answers of the suite's introspector, by token.
var verdicts = map[string]func() (*oauthz.Token, error){
	"good":    verdict(oauthztest.Claims{"scope": "orders:read profile", "acr": "silver", "roles": []string{"clerk"}}),
	"strong":  verdict(oauthztest.Claims{"scope": "orders:read", "acr": "gold", "auth_time": time.Now()}),
	"bound":   verdict(oauthztest.Claims{"scope": "orders:read", "cnf": map[string]string{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}),
	"revoked": verdict(oauthztest.Claims{"scope": "orders:read", "jti": "revoked"}),
	"stale":   verdict(oauthztest.Claims{"scope": "orders:read", "exp": time.Now().Add(-time.Hour)}),
	"expired": func() (*oauthz.Token, error) { return nil, oauthz.ErrExpired },
	"foreign": func() (*oauthz.Token, error) { return nil, oauthz.ErrUnrecognized },
	"fault":   func() (*oauthz.Token, error) { return nil, errors.New("connect: secret-host refused") },
	"limited": func() (*oauthz.Token, error) {
		return nil, oauthz.Unavailable(1500*time.Millisecond, nil)
	},
	"panic":   func() (*oauthz.Token, error) { panic("secret") },
	"nothing": func() (*oauthz.Token, error) { return nil, nil },
}

func verdict(claims oauthztest.Claims) func() (*oauthz.Token, error) {
	return func() (*oauthz.Token, error) { return oauthztest.Token(claims), nil }
}

const (
	noScope     = `{"error":"insufficient_scope","error_description":"The access token lacks a scope that is required"}`
	notAllowed  = `{"error":"insufficient_scope","error_description":"The access token does not allow this"}`
	badRequest  = `{"error":"invalid_request","error_description":"The credentials are malformed, or sent more than once"}`
	badToken    = `{"error":"invalid_token","error_description":"The access token is not valid"}`
	expired     = `{"error":"invalid_token","error_description":"The access token expired"}`
	weakLogin   = `{"error":"insufficient_user_authentication","error_description":"A newer or stronger login is required"}`
	unavailable = `{"error":"temporarily_unavailable"}`
	serverError = `{"error":"server_error"}`

	badRequestChallenge = `Bearer realm="api", error="invalid_request", error_description="The credentials are malformed, or sent more than once"`
	badTokenChallenge   = `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`
	expiredChallenge    = `Bearer realm="api", error="invalid_token", error_description="The access token expired"`
	noScopeChallenge    = `Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope that is required", scope="%s"`
	notAllowedChallenge = `Bearer realm="api", error="insufficient_scope", error_description="The access token does not allow this"`
	weakLoginChallenge  = `Bearer realm="api", error="insufficient_user_authentication", error_description="A newer or stronger login is required", %s`
)

func (o outcome) run(t *testing.T, build Build) {
	t.Helper()
	suite := &suite{}
	guard, err := oauthz.New(suite.config(o))
	if err != nil {
		t.Fatal(err)
	}
	if o.requirements == nil {
		o.requirements = []oauthz.Requirement{oauthz.Require("orders:read")}
	}
	server := httptest.NewUnstartedServer(build(guard, suite.handle, o.requirements...))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // for the hooks that panic
	server.Start()
	defer server.Close()
	answer, err := server.Client().Transport.RoundTrip(o.request(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	o.compare(t, answer, string(body))
	equal(t, "handler ran", suite.ran.Load(), o.ran)
	equal(t, "subject in the context", suite.subject.Load(), any(o.subject))
	if o.ran {
		equal(t, "body that the handler reads", suite.body.Load(), any(o.body))
	}
	equal(t, "calls of the introspector", suite.asked.Load(), o.asked)
}

func (o outcome) request(t *testing.T, url string) *http.Request {
	t.Helper()
	method := o.method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url+"/orders"+o.target, strings.NewReader(o.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range o.header {
		r.Header[name] = values
	}
	if o.bearer != "" {
		r.Header.Add("Authorization", "Bearer "+o.bearer)
	}
	return r
}

func (o outcome) compare(t *testing.T, answer *http.Response, body string) {
	t.Helper()
	equal(t, "status", answer.StatusCode, o.status)
	equal(t, "WWW-Authenticate", strings.Join(answer.Header.Values("WWW-Authenticate"), "\n"), o.challenge)
	equal(t, "Retry-After", answer.Header.Get("Retry-After"), o.retryAfter)
	equal(t, "body", body, o.answer)
	if o.ran {
		return
	}
	equal(t, "Cache-Control", answer.Header.Get("Cache-Control"), "no-store")
	equal(t, "Content-Type", answer.Header.Get("Content-Type"), "application/json")
	equal(t, "X-Content-Type-Options", answer.Header.Get("X-Content-Type-Options"), "nosniff")
	for name := range answer.Header {
		if !slices.Contains(refusalFields, name) {
			t.Errorf("a refusal has a header field %s", name)
		}
	}
}

// refusalFields are the header fields that a refusal may have: those of oauthz and those that net/http adds.
var refusalFields = []string{"Cache-Control", "Content-Length", "Content-Type", "Date", "Retry-After", "Www-Authenticate", "X-Content-Type-Options"}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// suite has the introspector, the revocation list and the handler for one request, and records their calls.
type suite struct {
	asked   atomic.Int64
	ran     atomic.Bool
	subject atomic.Value
	body    atomic.Value
}

func (s *suite) config(o outcome) oauthz.Config {
	s.subject.Store("")
	revocations := &oauthz.MemoryRevocations{}
	err := revocations.Revoke(context.Background(), oauthz.Revocation{Match: map[string]any{"iss": "https://issuer.example", "jti": "revoked"}})
	if err != nil {
		panic(err)
	}
	cfg := oauthz.Config{
		Introspector:    oauthz.IntrospectorFunc(s.introspect),
		RevocationLists: []oauthz.RevocationList{revocations},
	}
	if o.config != nil {
		o.config(&cfg)
	}
	return cfg
}

func (s *suite) introspect(_ context.Context, token string) (*oauthz.Token, error) {
	s.asked.Add(1)
	if v, ok := verdicts[token]; ok {
		return v()
	}
	return nil, fmt.Errorf("%w: unknown", oauthz.ErrInvalidToken)
}

func (s *suite) handle(w http.ResponseWriter, r *http.Request) {
	s.ran.Store(true)
	if token, ok := oauthz.TokenFrom(r.Context()); ok {
		s.subject.Store(token.Subject)
	}
	body, _ := io.ReadAll(r.Body)
	s.body.Store(string(body))
	_, _ = io.WriteString(w, "orders")
}
