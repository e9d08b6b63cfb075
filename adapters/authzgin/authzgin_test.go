package authzgin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzgin"
)

func TestProtectWantsAGuard(t *testing.T) {
	t.Parallel()
	assertPanics(t, "authzgin: Protect: nil Guard", func() { authzgin.Protect(nil, read) })
}

// refusalTests are requests to GET or HEAD /orders/7 that the Guard refuses, and their answers.
var refusalTests = []struct {
	name, method, token string
	config              oauthz.Config
	want                answer
}{
	{name: "no token", method: "GET", want: noToken},
	{name: "no token, HEAD", method: "HEAD", want: answer{401, noToken.challenge, ""}},
	{name: "bad token", method: "GET", token: "bad", want: badToken},
	{name: "no scope", method: "GET", token: "other", want: noScope},
	{
		name: "an ErrorHandler that writes no body", method: "GET", want: answer{401, noToken.challenge, ""},
		config: oauthz.Config{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) { w.WriteHeader(e.Status) }},
	},
	{
		name: "an ErrorHandler that panics", method: "GET", want: answer{500, "", `{"error":"server_error"}`},
		config: oauthz.Config{ErrorHandler: func(http.ResponseWriter, *http.Request, *oauthz.Error) { panic("secret") }},
	},
}

// Behind a refusal no handler runs, and no middleware before it writes a second answer.
func TestRefusalEndsTheChain(t *testing.T) {
	t.Parallel()
	for _, tt := range refusalTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			engine, handler, after := gin.New(), &spy{}, &spy{}
			var keys, errs, aborted any
			engine.Use(func(c *gin.Context) {
				c.Next()
				keys, errs, aborted = len(c.Keys), len(c.Errors), c.IsAborted()
				if !c.Writer.Written() {
					c.String(http.StatusTeapot, "error page")
				}
			})
			group := engine.Group("/orders", authzgin.Protect(newGuard(t, tt.config), read), func(c *gin.Context) {
				after.ran.Add(1)
				c.Next()
			})
			group.Any("/:id", handler.handle)
			assert.Equal(t, tt.want, serve(engine, request(tt.method, "/orders/7", tt.token)))
			assert.Zero(t, handler.ran.Load(), "the handler ran")
			assert.Zero(t, after.ran.Load(), "a middleware behind the refusal ran")
			assert.Equal(t, []any{0, 0, true}, []any{keys, errs, aborted}, "c.Keys, c.Errors, c.IsAborted()")
		})
	}
}

// The chain is aborted before the answer is written, also if writing panics.
func TestChainIsAbortedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	engine, handler := gin.New(), &spy{}
	engine.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, _ any) { c.Next() }))
	guard := newGuard(t, oauthz.Config{})
	engine.Use(func(c *gin.Context) { c.Writer = &broken{c.Writer} })
	engine.GET("/orders/:id", authzgin.Protect(guard, read), handler.handle)
	serve(engine, request("GET", "/orders/7", ""))
	assert.Zero(t, handler.ran.Load(), "the handler ran")
}

// broken is a writer that panics.
type broken struct{ gin.ResponseWriter }

func (*broken) WriteHeader(int)           { panic("broken") }
func (*broken) Write([]byte) (int, error) { panic("broken") }

// A Guard before all routes also protects paths without a route.
func TestMissingRoutes(t *testing.T) {
	t.Parallel()
	for _, handleMethod := range []bool{true, false} {
		engine, handler := gin.New(), &spy{}
		engine.HandleMethodNotAllowed = handleMethod
		engine.Use(authzgin.Protect(newGuard(t, oauthz.Config{}), read))
		engine.GET("/orders", handler.handle)
		noMethod := answer{404, "", "404 page not found"}
		if handleMethod {
			noMethod = answer{405, "", "405 method not allowed"}
		}
		for _, tt := range []struct {
			method, path, token string
			want                answer
		}{
			{"GET", "/orders", "", noToken},
			{"GET", "/missing", "", noToken},
			{"POST", "/orders", "", noToken},
			{"HEAD", "/missing", "", answer{401, noToken.challenge, ""}},
			{"PROPFIND", "/orders", "", noToken},
			{"GET", "/missing", "bad", badToken},
			{"POST", "/orders", "other", noScope},
			{"GET", "/missing", "good", answer{404, "", "404 page not found"}},
			{"POST", "/orders", "good", noMethod},
		} {
			assert.Equal(t, tt.want, serve(engine, request(tt.method, tt.path, tt.token)), "%s %s %q, HandleMethodNotAllowed %v", tt.method, tt.path, tt.token, handleMethod)
		}
		assert.Zero(t, handler.ran.Load(), "the handler ran")
	}
}

// The pattern in the Decision is gin's, and empty if no route matches.
func TestPattern(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/orders/7": "/orders/:id", "/orders/7/lines/9": "/orders/:id/lines/:line", "/files/a/b": "/files/*path", "/secret-token": "",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var patterns []string
			guard := newGuard(t, oauthz.Config{Observe: func(_ context.Context, d oauthz.Decision) { patterns = append(patterns, d.Pattern) }})
			engine := gin.New()
			engine.Use(authzgin.Protect(guard, oauthz.Require()))
			group := engine.Group("/orders/:id", authzgin.Protect(guard, oauthz.Require()))
			group.GET("", (&spy{}).handle)
			group.GET("/lines/:line", (&spy{}).handle)
			engine.GET("/files/*path", authzgin.Protect(guard, oauthz.Require()), (&spy{}).handle)
			serve(engine, request("GET", path, "good"))
			require.NotEmpty(t, patterns)
			for _, pattern := range patterns {
				assert.Equal(t, want, pattern)
			}
		})
	}
}

// Other values in a gin context are not used as the token.
func TestTokenFrom(t *testing.T) {
	t.Parallel()
	mine := &oauthz.Token{Subject: "mine"}
	with := func(token *oauthz.Token) *gin.Context {
		c := &gin.Context{Request: httptest.NewRequest("GET", "/", nil)}
		for _, key := range []any{"user", "claims", "token", "oauthz", gin.AuthUserKey} {
			c.Set(key, &oauthz.Token{Subject: "mallory"})
		}
		if token != nil {
			c.Request = c.Request.WithContext(oauthz.WithToken(c.Request.Context(), token))
		}
		return c
	}
	for _, tt := range []struct {
		name string
		c    *gin.Context
		want *oauthz.Token
	}{
		{name: "nil"},
		{name: "no request", c: &gin.Context{}},
		{name: "other keys", c: with(nil)},
		{name: "token", c: with(mine), want: mine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := authzgin.TokenFrom(tt.c)
			assert.Equal(t, tt.want != nil, ok)
			assert.Same(t, tt.want, got)
		})
	}
}

// Only the credentials of the request count. Its other header fields are not changed.
func TestForgedIdentity(t *testing.T) {
	t.Parallel()
	forged := []string{"X-User", "X_User", "x-user", "X-Auth-Subject", "X-Forwarded-User", "Cookie"}
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		mallory := &oauthz.Token{Subject: "mallory", Scopes: oauthz.Scopes{"orders:read"}}
		c.Set("user", mallory)
		c.Set("claims", mallory)
		c.Request = c.Request.WithContext(oauthz.WithToken(c.Request.Context(), mallory))
	})
	var subject string
	var seen http.Header
	engine.GET("/orders", authzgin.Protect(newGuard(t, oauthz.Config{}), read), func(c *gin.Context) {
		token, _ := authzgin.TokenFrom(c)
		subject, seen = token.Subject, c.Request.Header.Clone()
		c.String(http.StatusOK, "orders")
	})
	with := func(token string) *http.Request {
		r := request("GET", "/orders", token)
		for _, name := range forged {
			r.Header[name] = []string{"mallory"}
		}
		return r
	}
	assert.Equal(t, noToken, serve(engine, with("")))
	assert.Equal(t, noScope, serve(engine, with("other")))
	assert.Empty(t, subject)
	assert.Equal(t, orders, serve(engine, with("good")))
	assert.Equal(t, "good", subject)
	assert.Equal(t, with("good").Header, seen)
}

// The token of a copy stays valid after the request, although gin reuses the context.
func TestTokenOfACopy(t *testing.T) {
	t.Parallel()
	const goroutines = 50
	engine := gin.New()
	ended := make(chan struct{})
	var wait sync.WaitGroup
	engine.GET("/orders/:id", authzgin.Protect(newGuard(t, oauthz.Config{}), oauthz.Require()), func(c *gin.Context) {
		later, want := c.Copy(), strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer ")
		wait.Go(func() {
			<-ended
			token, ok := authzgin.TokenFrom(later)
			assert.True(t, ok)
			assert.Equal(t, want, token.Subject)
		})
	})
	for i := range goroutines {
		serve(engine, request("GET", "/orders/7", "user-"+string(rune('A'+i))))
	}
	close(ended)
	wait.Wait()
}

// A Guard at the engine, in a group and at the route introspects a token once.
func TestMountedTwice(t *testing.T) {
	t.Parallel()
	introspector, handler := &issuer{}, &spy{}
	guard, engine := newGuard(t, oauthz.Config{Introspector: introspector}), gin.New()
	engine.Use(authzgin.Protect(guard, oauthz.Require()))
	group := engine.Group("/orders", authzgin.Protect(guard, read))
	group.GET("/:id", authzgin.Protect(guard, read), handler.handle)
	assert.Equal(t, orders, serve(engine, request("GET", "/orders/7", "good")))
	assert.EqualValues(t, 1, introspector.asked.Load())
	assert.EqualValues(t, 1, handler.ran.Load())
}

// The handler gets the writer of gin itself, with all its methods.
func TestWriterIsKept(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	var before, behind gin.ResponseWriter
	engine.Use(func(c *gin.Context) { before = c.Writer })
	engine.GET("/orders", authzgin.Protect(newGuard(t, oauthz.Config{}), read), func(c *gin.Context) { behind = c.Writer })
	serve(engine, request("GET", "/orders", "good"))
	assert.Same(t, before, behind)
}

// The adapter allocates no more than the same Guard with net/http.
func TestAllocations(t *testing.T) {
	token := &oauthz.Token{Subject: "s", Scopes: oauthz.Scopes{"orders:read"}}
	guard := newGuard(t, oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return token, nil })})
	r, w := request("GET", "/orders/7", "good"), httptest.NewRecorder()
	bare := guard.Protect(read)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	want := testing.AllocsPerRun(100, func() { bare.ServeHTTP(w, r) })
	protect, c := authzgin.Protect(guard, read), gin.CreateTestContextOnly(w, gin.New())
	got := testing.AllocsPerRun(100, func() {
		c.Request = r
		protect(c)
	})
	assert.InDelta(t, want, got, 0)
}
