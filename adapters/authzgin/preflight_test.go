package authzgin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzgin"
	"github.com/oauthz/oauthz/oauthztest"
)

// preflight is a CORS preflight with a token that is not valid.
func preflight(path string) *http.Request {
	r := httptest.NewRequest(http.MethodOptions, path, nil)
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Access-Control-Request-Method", "GET")
	r.Header.Set("Authorization", "Bearer bad")
	return r
}

const preflightTable = `*       /any                            scope orders:read or preflight
*       /both                           all(scope orders:read or preflight, scope orders:read)
GET     /get                            scope orders:read
OPTIONS /options                        scope orders:read or preflight
*       /public                         public
*       /refuses                        scope orders:read
*       /twice                          all(scope orders:read or preflight, scope orders:read or preflight)
`

// A preflight reaches a handler exactly where the table shows it: at routes for all methods and for OPTIONS, if every Guard
// before the handler lets preflights through.
func TestTableShowsPreflights(t *testing.T) {
	t.Parallel()
	allows, refuses := newGuard(t, oauthz.Config{AllowPreflight: true}), newGuard(t, oauthz.Config{})
	ran := false
	handler := func(*gin.Context) { ran = true }
	one, other := authzgin.Protect(allows, read), authzgin.Protect(refuses, read)
	router := gin.New()
	recorder := authzgin.Record(router)
	router.Any("/any", one, handler)
	router.GET("/get", one, handler)
	router.OPTIONS("/options", one, handler)
	router.Any("/refuses", other, handler)
	router.Any("/both", one, other, handler)
	router.Group("", one).Any("/twice", one, handler)
	router.Any("/public", authzgin.Protect(allows, oauthz.Public()), handler)
	table := oauthztest.RouteTable(t, recorder.Routes())
	assert.Equal(t, preflightTable, table)
	for line := range strings.Lines(table) {
		ran = false
		router.ServeHTTP(httptest.NewRecorder(), preflight(strings.Fields(line)[1]))
		assert.Equal(t, strings.Count(line, "scope") == strings.Count(line, "or preflight"), ran, line)
	}
}
