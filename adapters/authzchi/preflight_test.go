package authzchi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
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
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true })
	one, other := authzchi.Protect(allows, read), authzchi.Protect(refuses, read)
	router := chi.NewRouter()
	router.With(one).Handle("/any", handler)
	router.With(one).Method("GET", "/get", handler)
	router.With(one).Method("OPTIONS", "/options", handler)
	router.With(other).Handle("/refuses", handler)
	router.With(one, other).Handle("/both", handler)
	router.With(one).Handle("/twice", one(handler))
	router.With(authzchi.Protect(allows, oauthz.Public())).Handle("/public", handler)
	table := oauthztest.RouteTable(t, authzchi.Routes(router))
	assert.Equal(t, preflightTable, table)
	for line := range strings.Lines(table) {
		ran = false
		router.ServeHTTP(httptest.NewRecorder(), preflight(strings.Fields(line)[1]))
		assert.Equal(t, strings.Count(line, "scope") == strings.Count(line, "or preflight"), ran, line)
	}
}
