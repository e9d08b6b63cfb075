package authzecho4_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho4"
	"github.com/oauthz/oauthz/oauthztest"
)

// routes registers each route with its requirements.
func routes(e *echo.Echo, guard *oauthz.Guard) {
	show := func(c echo.Context) error {
		token, _ := authzecho4.TokenFrom(c)
		return c.String(http.StatusOK, c.Param("id")+" for "+token.Subject)
	}
	cancel := func(c echo.Context) error { return c.String(http.StatusOK, "cancelled") }
	health := func(c echo.Context) error { return c.String(http.StatusOK, "well") }

	orders := e.Group("/orders", authzecho4.Protect(guard, oauthz.Require("orders:read")))
	orders.GET("/:id", show)
	orders.DELETE("/:id", cancel, authzecho4.Protect(guard, oauthz.Require("orders:write")))
	e.GET("/health", health, authzecho4.Protect(guard, oauthz.Public()))
}

// A server protects its routes, each with its own requirements.
func Example() {
	// First an introspector: here a table of tokens, in a real program localjwt or remote.
	issued := map[string]string{
		"reader": `{"sub":"alice","scope":"orders:read"}`,
		"writer": `{"sub":"bob","scope":"orders:read orders:write"}`,
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		if claims, ok := issued[token]; ok {
			return oauthz.ParseToken([]byte(claims))
		}
		return nil, oauthz.ErrInvalidToken
	})})
	if err != nil {
		log.Fatal(err)
	}

	// Next register the routes: see above.
	e := echo.New()
	routes(e, guard)

	// Finally send requests.
	for _, call := range []string{"GET /health", "GET /orders/7", "GET /orders/7 reader", "DELETE /orders/7 reader", "DELETE /orders/7 writer", "GET /orders/7 forged"} {
		method, rest, _ := strings.Cut(call, " ")
		path, token, _ := strings.Cut(rest, " ")
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		e.ServeHTTP(w, r)
		fmt.Println(call+":", w.Code, w.Body)
	}
	// Output:
	// GET /health: 200 well
	// GET /orders/7: 401 {}
	// GET /orders/7 reader: 200 7 for alice
	// DELETE /orders/7 reader: 403 {"error":"insufficient_scope","error_description":"The access token lacks a scope that is required"}
	// DELETE /orders/7 writer: 200 cancelled
	// GET /orders/7 forged: 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}

// A test lists every route, and fails if a route has no Guard.
func ExampleRecord() {
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(
		func(context.Context, string) (*oauthz.Token, error) { return nil, oauthz.ErrInvalidToken },
	)})
	if err != nil {
		log.Fatal(err)
	}
	e := echo.New()
	recorder := authzecho4.Record(e)
	routes(e, guard)

	t := &testing.T{} // the t of the test
	fmt.Print(oauthztest.RouteTable(t, recorder.Routes()))
	// Output:
	// GET     /health                         public
	// DELETE  /orders/:id                     all(scope orders:read, scope orders:write)
	// GET     /orders/:id                     scope orders:read
}
