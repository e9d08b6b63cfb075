package main

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzchi"
)

func newAPI(guard *oauthz.Guard) http.Handler { return newRouter(guard) }

// newRouter returns the API. Each route states its requirements.
func newRouter(guard *oauthz.Guard) chi.Router {
	r := chi.NewRouter()
	r.With(authzchi.Protect(guard, oauthz.Public())).Get("/health", health)
	r.With(authzchi.Protect(guard, oauthz.Require().OrAnonymous())).Get("/catalog", catalog)

	r.With(authzchi.Protect(guard, oauthz.Require("orders:read"))).Get("/orders", listOrders)
	r.With(authzchi.Protect(guard, oauthz.Require("orders:write"))).Post("/orders", addOrder)

	r.Route("/admin", func(r chi.Router) {
		// A group: its requirement applies to all its routes, in addition to their own.
		r.Use(authzchi.Protect(guard, oauthz.RequireClaim("roles", "admin")))
		r.With(authzchi.Protect(guard, oauthz.Require("orders:read"))).Get("/orders", listOrders)
		recent := oauthz.All(oauthz.Require("orders:write"), oauthz.RequireMaxAge(time.Hour)) // the user logged in within the last hour
		r.With(authzchi.Protect(guard, recent)).Delete("/orders/{id}", removeOrder)
	})
	return r
}

// claims are the claims that this API reads from a token, in addition to the fields of oauthz.Token.
type claims struct {
	Subject string   `json:"sub"`
	Tenant  string   `json:"tenant"`
	Roles   []string `json:"roles"`
}

func health(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well\n") }

// catalog shows prices to users who are logged in.
func catalog(w http.ResponseWriter, r *http.Request) {
	offer := map[string]any{"item": "lamp"}
	if _, ok := oauthz.TokenFrom(r.Context()); ok { // an anonymous request has no token
		offer["price"] = 30
	}
	writeJSON(w, offer)
}

func listOrders(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.TokenFrom(r.Context()) // behind Require there is always a token
	c, err := oauthz.ClaimsAs[claims](token)
	if err != nil { // a claim has another type than this API expects
		http.Error(w, "cannot read the claims", http.StatusForbidden)
		return
	}
	writeJSON(w, map[string]any{"tenant": c.Tenant, "orders": []string{"lamp", "kettle"}})
}

func addOrder(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }

func removeOrder(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has disconnected
}
