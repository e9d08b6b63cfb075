package main

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/oauthz/oauthz"
)

// newAPI returns the API. Each route states its requirements.
func newAPI(guard *oauthz.Guard) http.Handler {
	mux := http.NewServeMux()
	register(mux, guard)
	return mux
}

// A router has the method of a mux that the API needs. It is an interface so that
// the test can register the routes with a mux that lists them.
type router interface {
	Handle(pattern string, handler http.Handler)
}

func register(mux router, guard *oauthz.Guard) {
	mux.Handle("GET /health", guard.Protect(oauthz.Public())(http.HandlerFunc(health)))
	mux.Handle("GET /catalog", guard.Protect(oauthz.Require().OrAnonymous())(http.HandlerFunc(catalog)))

	mux.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(listOrders)))
	mux.Handle("POST /orders", guard.Protect(oauthz.Require("orders:write"))(http.HandlerFunc(addOrder)))

	// A group: its requirement applies to all its routes, in addition to their own.
	admin := guard.Protect(oauthz.RequireClaim("roles", "admin"))
	mux.Handle("GET /admin/orders", admin(guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(listOrders))))
	recent := oauthz.All(oauthz.Require("orders:write"), oauthz.RequireMaxAge(time.Hour)) // the user logged in within the last hour
	mux.Handle("DELETE /admin/orders/{id}", admin(guard.Protect(recent)(http.HandlerFunc(removeOrder))))
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
