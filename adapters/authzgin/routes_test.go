package authzgin_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzgin"
	"github.com/oauthz/oauthz/oauthztest"
)

// next and pass are middlewares that continue, in gin's two ways.
func next(c *gin.Context) { c.Next() }
func pass(*gin.Context)   {}

// shop registers routes as a program would.
func shop(engine *gin.Engine, guard *oauthz.Guard, handler gin.HandlerFunc) {
	protect := func(req oauthz.Requirement) gin.HandlerFunc { return authzgin.Protect(guard, req) }
	engine.Use(gin.Recovery(), next)
	engine.GET("/health", protect(oauthz.Public()), handler)
	engine.NoRoute(handler)
	engine.NoMethod(handler)
	api := engine.Group("/api", pass, protect(oauthz.Require()))
	{
		orders := api.Group("/orders", next)
		orders.Use(protect(oauthz.Require("orders:read")))
		orders.GET("", handler)
		orders.GET("/new", handler)
		orders.GET("/:id", pass, handler)
		orders.POST("", protect(oauthz.Require("orders:write")), handler)
		orders.DELETE("/:id", protect(oauthz.RequireACR("gold")), pass, protect(oauthz.RequireClaim("role", "admin")), handler)
		api.GET("/me/", handler)
		api.Any("/batch", protect(oauthz.RequireAny("a", "b")), handler)
		api.Match([]string{"PUT", "PROPFIND"}, "/files/*path", handler)
	}
	engine.GET("/catalog", protect(oauthz.Require("catalog").OrAnonymous()), handler)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "DELETE", "CONNECT"} {
		engine.Handle(method, "/mixed", protect(oauthz.Require("m")), handler)
	}
	engine.Handle("TRACE", "/mixed", protect(oauthz.Require("trace")), handler)
	engine.GET(`/names/one\:cancel`, protect(oauthz.Require("cancel")), handler)
}

const shopTable = `*       /api/batch                      all(any valid token, any(scope a, scope b))
PROPFIND /api/files/*path                any valid token
PUT     /api/files/*path                any valid token
GET     /api/me/                        any valid token
GET     /api/orders                     all(any valid token, scope orders:read)
POST    /api/orders                     all(any valid token, scope orders:read, scope orders:write)
DELETE  /api/orders/:id                 all(any valid token, scope orders:read, acr gold, claim "role" in ["admin"])
GET     /api/orders/:id                 all(any valid token, scope orders:read)
GET     /api/orders/new                 all(any valid token, scope orders:read)
GET     /catalog                        scope catalog or anonymous
GET     /health                         public
CONNECT /mixed                          scope m
DELETE  /mixed                          scope m
GET     /mixed                          scope m
HEAD    /mixed                          scope m
OPTIONS /mixed                          scope m
PATCH   /mixed                          scope m
POST    /mixed                          scope m
PUT     /mixed                          scope m
TRACE   /mixed                          scope trace
GET     /names/one:cancel               scope cancel
`

func TestRouteTable(t *testing.T) {
	t.Parallel()
	asked, observed := &issuer{}, false
	guard := newGuard(t, oauthz.Config{Introspector: asked, Observe: func(context.Context, oauthz.Decision) { observed = true }})
	engine := gin.New()
	recorder := authzgin.Record(engine)
	shop(engine, guard, forbidden(t))
	assert.Equal(t, shopTable, oauthztest.RouteTable(t, recorder.Routes()))
	assert.Equal(t, recorder.Routes(), recorder.Routes())
	assert.Zero(t, asked.asked.Load(), "the introspector was asked")
	assert.False(t, observed, "a decision was observed")
}

// The options of an engine change how it finds routes, but not their requirements.
func TestEngineOptions(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]gin.OptionFunc{
		"RedirectTrailingSlash off": func(e *gin.Engine) { e.RedirectTrailingSlash = false },
		"RedirectFixedPath":         func(e *gin.Engine) { e.RedirectFixedPath = true },
		"HandleMethodNotAllowed":    func(e *gin.Engine) { e.HandleMethodNotAllowed = true },
		"UseRawPath":                func(e *gin.Engine) { e.UseRawPath = true },
		"UseEscapedPath":            func(e *gin.Engine) { e.UseEscapedPath = true },
		"escaped values":            func(e *gin.Engine) { e.UseEscapedPath, e.UnescapePathValues = true, false },
		"RemoveExtraSlash":          func(e *gin.Engine) { e.RemoveExtraSlash = true },
		"ContextWithFallback":       func(e *gin.Engine) { e.ContextWithFallback = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := gin.New(option)
			recorder := authzgin.Record(engine)
			shop(engine, newGuard(t, oauthz.Config{}), forbidden(t))
			assert.Equal(t, shopTable, oauthztest.RouteTable(t, recorder.Routes()))
		})
	}
}

// routesOf returns the routes of a recorded engine.
func routesOf(register func(*gin.Engine)) []oauthz.Route {
	engine := gin.New()
	recorder := authzgin.Record(engine)
	register(engine)
	return recorder.Routes()
}

// The nine methods of Any are one route, if they require the same.
func TestAnyMethod(t *testing.T) {
	t.Parallel()
	guard, handler := newGuard(t, oauthz.Config{}), forbidden(t)
	protect, write := authzgin.Protect(guard, read), authzgin.Protect(guard, oauthz.Require("orders:write"))
	eight := []string{"POST", "PUT", "PATCH", "HEAD", "OPTIONS", "DELETE", "CONNECT", "TRACE"}
	for _, tt := range []struct {
		name     string
		register func(*gin.Engine)
		want     []string
	}{
		{"Any", func(e *gin.Engine) { e.Any("/a", protect, handler) }, []string{"* /a"}},
		{"one by one", func(e *gin.Engine) {
			e.Match(eight, "/a", protect, handler)
			e.GET("/a", protect, handler)
		}, []string{"* /a"}},
		{"Any, and one more", func(e *gin.Engine) {
			e.Any("/a", protect, handler)
			e.Handle("PROPFIND", "/a", protect, handler)
		}, []string{"* /a", "PROPFIND /a"}},
		{"another requirement", func(e *gin.Engine) {
			e.Match(eight[2:], "/a", protect, handler)
			e.Match(append([]string{"GET"}, eight[:2]...), "/a", write, handler)
		}, []string{"PATCH /a", "HEAD /a", "OPTIONS /a", "DELETE /a", "CONNECT /a", "TRACE /a", "GET /a", "POST /a", "PUT /a"}},
		{"another pattern", func(e *gin.Engine) {
			e.Match(eight, "/a", protect, handler)
			e.GET("/b", protect, handler)
		}, []string{"POST /a", "PUT /a", "PATCH /a", "HEAD /a", "OPTIONS /a", "DELETE /a", "CONNECT /a", "TRACE /a", "GET /b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, route := range routesOf(tt.register) {
				require.NoError(t, route.Err)
				got = append(got, route.Method+" "+route.Pattern)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// Middleware that was added by Use before Record is found too.
func TestUseBeforeRecord(t *testing.T) {
	t.Parallel()
	guard, engine := newGuard(t, oauthz.Config{}), gin.New()
	engine.Use(authzgin.Protect(guard, oauthz.Require()))
	recorder := authzgin.Record(engine)
	engine.GET("/a", authzgin.Protect(guard, read), forbidden(t))
	assert.Equal(t, []oauthz.Route{{Method: "GET", Pattern: "/a", Guards: []oauthz.Requirement{oauthz.Require(), read}}}, recorder.Routes())
}

// If middleware changes its context in unusual ways, no handler runs, and the requirements of the Guards are still found.
func TestMiddlewareThatMeddles(t *testing.T) {
	t.Parallel()
	fresh := func(c *gin.Context) { c.Request = c.Request.WithContext(context.Background()) }
	for name, meddle := range map[string]gin.HandlerFunc{
		"another context": fresh,
		"another request": func(c *gin.Context) { c.Request, _ = http.NewRequest(http.MethodGet, "/elsewhere", nil) },
		"Next with another context": func(c *gin.Context) {
			fresh(c)
			c.Next()
		},
		"Next twice": func(c *gin.Context) {
			c.Next()
			c.Next()
		},
		"an answer, and on": func(c *gin.Context) { c.String(http.StatusOK, "early") },
		"another path":      func(c *gin.Context) { c.Request.URL.Path = "/elsewhere" },
		"in a goroutine": func(c *gin.Context) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.Next()
			}()
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guard := newGuard(t, oauthz.Config{})
			routes := routesOf(func(engine *gin.Engine) {
				engine.Use(meddle, authzgin.Protect(guard, oauthz.Public()), meddle)
				engine.GET("/a", authzgin.Protect(guard, read), meddle, authzgin.Protect(guard, oauthz.Public()), meddle, forbidden(t))
				engine.GET("/b", forbidden(t))
			})
			assert.Equal(t, []oauthz.Route{
				{Method: "GET", Pattern: "/a", Guards: []oauthz.Requirement{oauthz.Public(), read, oauthz.Public()}},
				{Method: "GET", Pattern: "/b", Guards: []oauthz.Requirement{oauthz.Public()}},
			}, routes)
		})
	}
}

// Middleware that deletes c.Keys hides Guards, but no handler runs.
func TestMiddlewareThatWipesTheKeys(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	routes := routesOf(func(engine *gin.Engine) {
		engine.GET("/a", func(c *gin.Context) { c.Keys = nil }, authzgin.Protect(guard, oauthz.Public()), forbidden(t))
	})
	require.Len(t, routes, 1)
	assert.EqualError(t, routes[0].Err, "authzgin: route: a middleware answered the request, so the Guards after it are not known")
}

// The routes of a group that was made before Record have an Err, and its Guards refuse.
func TestGroupBeforeRecord(t *testing.T) {
	t.Parallel()
	guard, engine := newGuard(t, oauthz.Config{}), gin.New()
	group := engine.Group("/old", authzgin.Protect(guard, oauthz.Public()))
	recorder := authzgin.Record(engine)
	group.GET("/a", forbidden(t))
	routes := recorder.Routes()
	require.Len(t, routes, 1)
	assert.EqualError(t, routes[0].Err, "authzgin: route: the Recorder did not see the request: the group was made before Record, or gin redirects a request whose path is this pattern")
}

// A handler for missing routes that was registered before Record is not a route, and does not run.
func TestNoRouteBeforeRecord(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.NoRoute(forbidden(t))
	engine.NoMethod(forbidden(t))
	recorder := authzgin.Record(engine)
	engine.GET("/a", authzgin.Protect(newGuard(t, oauthz.Config{}), read), forbidden(t))
	assert.Equal(t, []oauthz.Route{{Method: "GET", Pattern: "/a", Guards: []oauthz.Requirement{read}}}, recorder.Routes())
}

func TestRecordPanics(t *testing.T) {
	t.Parallel()
	assertPanics(t, "authzgin: Record: nil Engine", func() { authzgin.Record(nil) })
	engine := gin.New()
	engine.GET("/a", next)
	assertPanics(t, "authzgin: Record: the engine has routes already, whose Guards the Recorder cannot find: call Record right after gin.New", func() { authzgin.Record(engine) })
}

// A recorded engine serves as before, also while Routes runs, and two Recorders of it do not disturb each other.
func TestRecordedEngineServes(t *testing.T) {
	t.Parallel()
	engine, handler := gin.Default(), &spy{}
	recorders := []*authzgin.Recorder{authzgin.Record(engine), authzgin.Record(engine)}
	engine.GET("/orders/:id", authzgin.Protect(newGuard(t, oauthz.Config{}), read), handler.handle)
	want := []oauthz.Route{{Method: "GET", Pattern: "/orders/:id", Guards: []oauthz.Requirement{read}}}
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() { assert.Equal(t, want, recorders[i%2].Routes()) })
		wait.Go(func() { assert.Equal(t, orders, serve(engine, request("GET", "/orders/7", "good"))) })
		wait.Go(func() { assert.Equal(t, noToken, serve(engine, request("GET", "/orders/7", ""))) })
	}
	wait.Wait()
	assert.EqualValues(t, 20, handler.ran.Load())
	assert.Equal(t, answer{404, "", "404 page not found"}, serve(engine, request("GET", "/missing", "")))
}
