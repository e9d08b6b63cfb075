package authzecho_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho"
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
404     /else/*                         scope orders:read or preflight
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
	handler := func(*echo.Context) error { ran = true; return nil }
	one, other := protect(allows, read), protect(refuses, read)
	router := echo.New()
	recorder := authzecho.Record(router)
	router.Any("/any", handler, one)
	router.GET("/get", handler, one)
	router.OPTIONS("/options", handler, one)
	router.Any("/refuses", handler, other)
	router.Any("/both", handler, one, other)
	router.Group("/twice", one).Any("", handler, one)
	router.Any("/public", handler, protect(allows, oauthz.Public()))
	router.RouteNotFound("/else/*", handler, one)
	table := oauthztest.RouteTable(t, recorder.Routes())
	assert.Equal(t, preflightTable, table)
	for line := range strings.Lines(table) {
		ran = false
		router.ServeHTTP(httptest.NewRecorder(), preflight(strings.Replace(strings.Fields(line)[1], "*", "elsewhere", 1)))
		assert.Equal(t, strings.Count(line, "scope") == strings.Count(line, "or preflight"), ran, line)
	}
}
