package authzgin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
)

// read is the requirement of most routes of the tests. The token "good" meets it, "bad" is not valid, and all other tokens have
// no scopes.
var read = oauthz.Require("orders:read")

// issuer is an introspector whose tokens have their name as subject.
type issuer struct{ asked atomic.Int64 }

func (i *issuer) Introspect(_ context.Context, token string) (*oauthz.Token, error) {
	i.asked.Add(1)
	switch token {
	case "good":
		return oauthztest.Token(oauthztest.Claims{"sub": token, "scope": "orders:read"}), nil
	case "bad":
		return nil, fmt.Errorf("%w: unknown", oauthz.ErrInvalidToken)
	default:
		return oauthztest.Token(oauthztest.Claims{"sub": token}), nil
	}
}

func newGuard(t testing.TB, cfg oauthz.Config) *oauthz.Guard {
	t.Helper()
	if cfg.Introspector == nil {
		cfg.Introspector = &issuer{}
	}
	guard, err := oauthz.New(cfg)
	require.NoError(t, err)
	return guard
}

// answer is the part of a response that the tests compare.
type answer struct {
	status          int
	challenge, body string
}

var (
	noToken  = answer{401, `Bearer realm="api", scope="orders:read"`, "{}"}
	badToken = answer{
		401, `Bearer realm="api", error="invalid_token", error_description="The access token is not valid"`,
		`{"error":"invalid_token","error_description":"The access token is not valid"}`,
	}
	noScope = answer{
		403, `Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope that is required", scope="orders:read"`,
		`{"error":"insufficient_scope","error_description":"The access token lacks a scope that is required"}`,
	}
	orders = answer{200, "", "orders"}
)

// request returns a request with a bearer token, or without one if token is empty.
func request(method, path, token string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func serve(h http.Handler, r *http.Request) answer {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, strings.Join(w.Header().Values("WWW-Authenticate"), "\n"), w.Body.String()}
}

// spy is a handler that counts how often it ran.
type spy struct{ ran atomic.Int64 }

func (s *spy) handle(c *gin.Context) {
	s.ran.Add(1)
	c.String(http.StatusOK, "orders")
}

// forbidden is a handler that must not run.
func forbidden(t testing.TB) gin.HandlerFunc {
	return func(c *gin.Context) {
		t.Errorf("the handler of %s ran", c.FullPath())
		panic("the handler ran")
	}
}

// fails is a test that records its failures instead of failing.
type fails struct {
	testing.TB
	messages []string
}

func (f *fails) Helper() {}

func (f *fails) Error(args ...any) { f.messages = append(f.messages, fmt.Sprint(args...)) }

func (f *fails) Errorf(format string, args ...any) {
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}

func assertPanics(t *testing.T, want string, f func()) {
	t.Helper()
	assert.PanicsWithValue(t, want, f)
}
