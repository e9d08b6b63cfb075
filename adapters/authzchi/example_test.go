package authzchi_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

// newExampleGuard returns a Guard whose introspector knows two tokens. A real program uses one of localjwt or remote.
func newExampleGuard() *oauthz.Guard {
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
	return guard
}

// A router protects its routes, each with its own requirements.
func Example() {
	guard := newExampleGuard()

	// First the routes: the requirement of the group, and an additional one of one route.
	order := func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		fmt.Fprint(w, "order ", chi.URLParam(r, "id"), " for ", token.Subject)
	}
	r := chi.NewRouter()
	r.Route("/orders", func(r chi.Router) {
		r.Use(authzchi.Protect(guard, oauthz.Require("orders:read")))
		r.Get("/{id}", order)
		r.With(authzchi.Protect(guard, oauthz.Require("orders:write"))).Put("/{id}", order)
	})

	// Finally send requests.
	for _, call := range []string{"GET reader", "PUT reader", "PUT writer", "GET forged"} {
		method, token, _ := strings.Cut(call, " ")
		w, request := httptest.NewRecorder(), httptest.NewRequest(method, "/orders/7", nil)
		request.Header.Set("Authorization", "Bearer "+token)
		r.ServeHTTP(w, request)
		fmt.Println(call+":", w.Code, w.Body)
	}
	// And list the requirements, as a test would.
	for _, route := range authzchi.Routes(r) {
		required, _ := route.Combined()
		fmt.Println(route.Method, route.Pattern, "requires", required)
	}
	// Output:
	// GET reader: 200 order 7 for alice
	// PUT reader: 403 {"error":"insufficient_scope","error_description":"The access token lacks a scope that is required"}
	// PUT writer: 200 order 7 for bob
	// GET forged: 401 {"error":"invalid_token","error_description":"The access token is not valid"}
	// GET /orders/{id} requires scope orders:read
	// PUT /orders/{id} requires all(scope orders:read, scope orders:write)
}
