package authzgin_test

import (
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzgin"
	"github.com/oauthz/oauthz/oauthztest"
)

const (
	tableUnprotected = ": no Guard protects this route: put one before its handler, with oauthz.Public() if the route is open on purpose"
	tableUnknown     = ": the requirements are not known: authzgin: route: "
)

// scene is an engine, with a Guard and a handler for its routes.
type scene struct {
	*gin.Engine
	protect, handler gin.HandlerFunc
}

// failingTests are engines, and the errors that RouteTable reports for each.
var failingTests = []struct {
	name     string
	register func(scene)
	want     []string
}{
	{"no routes", func(scene) {}, []string{"oauthztest: RouteTable: no routes: register them before you list them"}},
	{"protected", func(s scene) { s.GET("/a", s.protect, s.handler) }, nil},
	{"unprotected", func(s scene) { s.GET("/orders/:id", next, s.handler) }, []string{"GET /orders/:id" + tableUnprotected}},
	{"beside a protected one", func(s scene) {
		s.GET("/a", s.protect, s.handler)
		s.POST("/a", s.handler)
	}, []string{"POST /a" + tableUnprotected}},
	{"any method", func(s scene) { s.Any("/a", s.handler) }, []string{"* /a" + tableUnprotected}},
	{"registered before Use", func(s scene) {
		s.GET("/a", s.handler)
		s.Use(s.protect)
		s.GET("/b", s.handler)
	}, []string{"GET /a" + tableUnprotected}},
	{"handler before the Guard", func(s scene) { s.GET("/a", s.handler, s.protect) },
		[]string{"GET /a" + tableUnknown + "Protect is the last of its chain: put the handler after it"}},
	{"handler between Guards", func(s scene) { s.Group("/a", s.protect).GET("/b", s.handler, s.protect) },
		[]string{"GET /a/b" + tableUnknown + "Protect is the last of its chain: put the handler after it"}},
	{"Guard alone, any method", func(s scene) { s.Any("/a", s.protect) },
		[]string{"* /a" + tableUnknown + "Protect is the last of its chain: put the handler after it"}},
	{"Guard alone", func(s scene) { s.GET("/a", s.protect) },
		[]string{"GET /a" + tableUnknown + "Protect is the last of its chain: put the handler after it"}},
	{"basic authentication", func(s scene) { s.GET("/a", s.protect, gin.BasicAuth(gin.Accounts{"u": "p"}), s.protect, s.handler) },
		[]string{"GET /a" + tableUnknown + "a middleware answered the request, so the Guards after it are not known"}},
	{"basic authentication behind the Guards", func(s scene) { s.GET("/a", s.protect, gin.BasicAuth(gin.Accounts{"u": "p"}), s.handler) }, nil},
	{"a middleware that panics", func(s scene) { s.GET("/a", func(c *gin.Context) { c.MustGet("db") }, s.protect, s.handler) },
		[]string{"GET /a" + tableUnknown + "a middleware before the last Guard panicked: key db does not exist"}},
	{"a Guard in a function", func(s scene) {
		s.GET("/a", func(c *gin.Context) { s.protect(c) }, s.protect, s.handler)
	}, []string{"GET /a" + tableUnknown + "another function calls the handler that Protect returned: put it into the chain itself"}},
	{"a middleware that goes to another route", func(s scene) {
		s.GET("/a", func(c *gin.Context) {
			c.Request.URL.Path = "/b"
			s.HandleContext(c)
		}, s.protect, s.handler)
		s.GET("/b", s.protect, s.handler)
	}, []string{"GET /a" + tableUnknown + "another route, or none, answers a request whose path is this pattern"}},
	{"a middleware that starts again", func(s scene) {
		s.GET("/a", func(c *gin.Context) {
			if c.GetHeader("X-Again") == "" {
				c.Request.Header.Set("X-Again", "1")
				s.HandleContext(c)
			}
		}, s.protect, s.handler)
	}, []string{"GET /a" + tableUnknown + "another route, or none, answers a request whose path is this pattern"}},
	{"a pattern that is there twice", func(s scene) {
		s.GET(`/a/\:id`, s.protect, s.handler)
		s.GET("/a/:id", s.handler)
	}, []string{
		"GET /a/:id" + tableUnknown + "another route has the same method, and the same pattern except for a backslash: it is not known which of them gin uses",
		"GET /a/:id" + tableUnknown + "another route has the same method, and the same pattern except for a backslash: it is not known which of them gin uses",
	}},
	{"a pattern that no request can have", func(s scene) {
		s.UseEscapedPath = true
		s.NoRoute(s.handler)
		s.GET("/a b", s.protect, s.handler)
	}, []string{"GET /a b" + tableUnknown + "another route, or none, answers a request whose path is this pattern"}},
}

// A route that is not protected or whose requirements are not known fails the test of a program. Its handler does not run.
func TestRoutesThatFail(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	protect, handler := authzgin.Protect(guard, read), forbidden(t)
	for _, tt := range failingTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &fails{TB: t}
			oauthztest.RouteTable(fake, routesOf(func(e *gin.Engine) { tt.register(scene{e, protect, handler}) }))
			assert.Equal(t, tt.want, fake.messages)
		})
	}
}
