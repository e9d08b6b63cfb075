package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

// audience is what this API is called in the tokens that are meant for it.
const audience = "https://orders.example"

// newAPI is the API. Each route says what it requires of a token, and takes
// those of one issuer: a partner's users see the partner's orders only.
func newAPI(ctx context.Context, issuer, partner string, logger *slog.Logger) (http.Handler, error) {
	guard, err := newGuard(ctx, issuer, logger)
	if err != nil {
		return nil, err
	}
	partnerGuard, err := newGuard(ctx, partner, logger)
	if err != nil {
		return nil, err
	}
	list, remove := http.HandlerFunc(listOrders), http.HandlerFunc(removeOrder)

	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(list))
	mux.Handle("DELETE /orders/{id}", guard.Protect(oauthz.Require("orders:write"))(remove))
	mux.Handle("GET /partner/orders", partnerGuard.Protect(oauthz.Require("orders:read"))(list))
	return mux, nil
}

// newGuard accepts the tokens of one issuer. It does not wait for the issuer's
// keys, so the API starts even while the issuer is down; ctx ends the fetching.
func newGuard(ctx context.Context, issuer string, logger *slog.Logger) (*oauthz.Guard, error) {
	introspector, err := localjwt.New(ctx, localjwt.Config{
		Issuer:   issuer,
		Audience: []string{audience},
		Logger:   logger,
	})
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", issuer, err)
	}
	return oauthz.New(oauthz.Config{Introspector: introspector})
}

func listOrders(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.TokenFrom(r.Context()) // behind Protect there is one
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails only if the client is gone
		"customer": token.Subject,
		"orders":   []string{"lamp", "kettle"},
	})
}

func removeOrder(w http.ResponseWriter, _ *http.Request) {
	// Your own code here: whoever gets this far may write orders.
	w.WriteHeader(http.StatusNoContent)
}
