package authzecho_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho"
)

// Other values in a context are not used as the token.
func TestTokenFrom(t *testing.T) {
	t.Parallel()
	mine := &oauthz.Token{Subject: "s"}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	with := func(ctx context.Context) *echo.Context {
		c := echo.New().NewContext(request.WithContext(ctx), httptest.NewRecorder())
		for _, key := range []string{"token", "user", "claims", "oauthz"} {
			c.Set(key, mine)
		}
		return c
	}
	//lint:ignore SA1029 this is what careless middleware does
	foreign := context.WithValue(t.Context(), "token", mine)
	for _, tt := range []struct {
		name string
		c    *echo.Context
		want *oauthz.Token
	}{
		{name: "no context"},
		{name: "no request", c: echo.New().NewContext(nil, nil)},
		{name: "other keys", c: with(foreign)},
		{name: "nil token", c: with(oauthz.WithToken(foreign, nil))},
		{name: "token", c: with(oauthz.WithToken(foreign, mine)), want: mine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := authzecho.TokenFrom(tt.c)
			assert.Equal(t, tt.want != nil, ok)
			assert.Same(t, tt.want, got)
		})
	}
}

// A missing Guard causes a panic when the program starts.
func TestNilGuard(t *testing.T) {
	t.Parallel()
	assert.PanicsWithValue(t, "authzecho: Protect: nil Guard", func() { authzecho.Protect(nil, read) })
}

// Header fields that name a user are neither trusted nor changed.
func TestInboundIdentityIsNotTrusted(t *testing.T) {
	t.Parallel()
	header := http.Header{"X-User": {"mallory"}, "X_user": {"mallory"}, "X-Auth-Subject": {"mallory"}, "X-Forwarded-User": {"mallory"}}
	e := echo.New()
	guard := newGuard(t, oauthz.Config{})
	e.GET("/orders", func(c *echo.Context) error {
		for name, values := range header {
			assert.Equal(t, values, c.Request().Header[name])
		}
		assert.Nil(t, c.Get("user"))
		return hello(c)
	}, protect(guard, read))
	e.GET("/public", hello, protect(guard, oauthz.Public()))
	assert.Equal(t, "hello alice", call(t, start(t, e), http.MethodGet, "/orders", "alice", header).body)
	assert.Equal(t, "hello", call(t, start(t, e), http.MethodGet, "/public", "alice", header).body)
	assert.Equal(t, 401, call(t, start(t, e), http.MethodGet, "/orders", "", header).status)
}

// serve returns the response of h to one request, without a server.
func serve(h http.Handler, method, path, bearer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// A goroutine may keep the token, although echo reuses the context for other requests.
func TestTokenOutlivesTheContext(t *testing.T) {
	t.Parallel()
	e := echo.New()
	guard := newGuard(t, oauthz.Config{})
	reused, subject := make(chan struct{}), make(chan string)
	e.GET("/kept", func(c *echo.Context) error {
		token, _ := authzecho.TokenFrom(c)
		go func() {
			<-reused
			subject <- token.Subject
		}()
		return nil
	}, protect(guard, read))
	e.GET("/orders", hello, protect(guard, read))
	serve(e, http.MethodGet, "/kept", "alice")
	for range 100 {
		assert.Equal(t, "hello bob", serve(e, http.MethodGet, "/orders", "bob").Body.String())
	}
	close(reused)
	assert.Equal(t, "alice", <-subject)
}

// Requests of several users in turn get their own tokens, which the handlers may change. The reused context of a refused
// request holds nothing for the next request.
func TestUsersAreKeptApart(t *testing.T) {
	t.Parallel()
	e := echo.NewWithConfig(echo.Config{Logger: quiet()})
	guard := newGuard(t, oauthz.Config{})
	e.Group("", protect(guard, oauthz.Require())).GET("/orders", func(c *echo.Context) error {
		token, _ := authzecho.TokenFrom(c)
		name := token.Subject
		token.Subject, token.Scopes[0] = "mallory", "all"
		return c.String(http.StatusOK, name)
	}, protect(guard, read))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for i := range 500 {
				user := []string{"alice", "bob", "junk"}[i%3]
				want := map[string]int{"junk": 401, "alice": 200, "bob": 200}[user]
				w := serve(e, http.MethodGet, "/orders", user)
				if w.Code != want || want == 200 && w.Body.String() != user {
					t.Errorf("%s got %d %s", user, w.Code, w.Body)
					return
				}
			}
		})
	}
	all.Wait()
}

// The introspector is called once, however many Guards stand before the handler.
func TestNestedGuardsIntrospectOnce(t *testing.T) {
	t.Parallel()
	in := &issuer{}
	guard := newGuard(t, oauthz.Config{Introspector: in})
	e := echo.New()
	e.Pre(protect(guard, oauthz.Require()))
	e.Use(protect(guard, oauthz.Require()))
	group := e.Group("/v1", protect(guard, read))
	group.Group("/orders", protect(guard, read)).GET("/:id", hello, protect(guard, read), protect(guard, read))
	got := call(t, start(t, e), http.MethodGet, "/v1/orders/7", "alice", nil)
	assert.Equal(t, answer{200, "", "text/plain; charset=UTF-8", "", "hello alice"}, got)
	assert.Equal(t, []string{"alice"}, in.asked)
}

// patternTests: a Guard at a place, a request, and the pattern in the Decision.
var patternTests = []struct{ place, method, path, want string }{
	{place: "Pre", method: "GET", path: "/orders/7"},
	{place: "Pre", method: "GET", path: "/nowhere"},
	{place: "Use", method: "GET", path: "/orders/7", want: "/orders/:id"},
	{place: "Use", method: "GET", path: "/nowhere"},
	{place: "Use", method: "DELETE", path: "/orders/7", want: "/orders/:id"},
	{place: "Use", method: "OPTIONS", path: "/orders/7", want: "/orders/:id"},
	{place: "group", method: "GET", path: "/orders/7", want: "/orders/:id"},
	{place: "group", method: "GET", path: "/orders", want: "/orders"},
	{place: "group", method: "GET", path: "/orders/7/lines", want: "/orders/:id"}, // the pattern that echo has there
	{place: "group", method: "DELETE", path: "/orders/7", want: "/orders/*"},
	{place: "group", method: "OPTIONS", path: "/orders/7", want: "/orders/*"},
	{place: "route", method: "GET", path: "/orders/7", want: "/orders/:id"},
}

// A Guard before the router also refuses requests without a route, or without one for the method. The Decision has the
// pattern of the route, and never the path.
func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range patternTests {
		t.Run(tt.place+" "+tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			var seen []string
			guard := newGuard(t, oauthz.Config{Observe: func(_ context.Context, d oauthz.Decision) { seen = append(seen, d.Pattern) }})
			e := echo.NewWithConfig(echo.Config{Logger: quiet()})
			place(t, e, tt.place, protect(guard, read))
			got := call(t, start(t, e), tt.method, tt.path, "", nil)
			assert.Equal(t, answer{401, `Bearer realm="api", scope="orders:read"`, "application/json", "", "{}"}, got)
			assert.Equal(t, []string{tt.want}, seen)
		})
	}
}

// place registers routes with the middleware at one place.
func place(t *testing.T, e *echo.Echo, at string, m echo.MiddlewareFunc) {
	t.Helper()
	group := e.Group("/orders")
	var route []echo.MiddlewareFunc
	switch at {
	case "Pre":
		e.Pre(m)
	case "Use":
		e.Use(m)
	case "group":
		group.Use(m)
	case "route":
		route = append(route, m)
	default:
		require.Fail(t, at)
	}
	group.GET("/:id", mustNotRun(t), route...)
}

// Behind a refusal neither the handler nor other middlewares run.
func TestNothingBehindARefusalRuns(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	later := func(echo.HandlerFunc) echo.HandlerFunc { return mustNotRun(t) }
	for _, at := range []string{"Pre", "Use", "group", "route"} {
		e := echo.New()
		place(t, e, at, func(next echo.HandlerFunc) echo.HandlerFunc { return protect(guard, read)(later(next)) })
		assert.Equal(t, 401, serve(e, http.MethodGet, "/orders/7", "").Code, at)
		assert.Equal(t, 401, serve(e, http.MethodGet, "/orders/7", "junk").Code, at)
	}
}
