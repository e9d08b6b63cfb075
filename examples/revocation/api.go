package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/revlog"
)

// audience is the name of this API in the aud claim of its tokens.
const audience = "https://orders.example"

// An api is one instance of the API, with its own replica of the log.
type api struct {
	http.Handler
	revoked *revlog.List
}

// newAPI does not wait for the log: until the list has read the whole log, the API
// answers 503 to every request with a token. The end of ctx ends the refresh of the
// keys. The caller must close the list.
func newAPI(ctx context.Context, issuer string, log revlog.Log) (*api, error) {
	verifier, err := localjwt.New(ctx, localjwt.Config{Issuer: issuer, Audience: []string{audience}})
	if err != nil {
		return nil, err
	}
	revoked, err := revlog.Open(ctx, log, revlog.Config{})
	if err != nil {
		return nil, err
	}
	mux, err := newRoutes(issuer, verifier, revoked)
	if err != nil {
		return nil, errors.Join(err, revoked.Close())
	}
	return &api{mux, revoked}, nil
}

func newRoutes(issuer string, verifier oauthz.Introspector, revoked *revlog.List) (http.Handler, error) {
	guard, err := oauthz.New(oauthz.Config{
		Introspector:    verifier,
		RevocationLists: []oauthz.RevocationList{revoked}, // checked on every request
	})
	if err != nil {
		return nil, err
	}
	// For administrators: GET lists the revocations, POST revokes by any claim.
	administration, err := endpoint.Admin(endpoint.AdminConfig{
		Guard: guard, Requirement: oauthz.Require("revocations:write"), Revoker: revoked, Lister: revoked,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/revocations", administration)
	mux.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(listOrders)))
	mux.Handle("POST /logout", guard.Protect(oauthz.Require())(logout(issuer, revoked)))
	return mux, nil
}

func listOrders(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.TokenFrom(r.Context()) // behind Protect there is always a token
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"orders of": token.Subject}) // fails only if the client has disconnected
}

// longestLife is the longest lifetime of a token of the authorization server. A
// revocation need not be kept for longer.
const longestLife = 24 * time.Hour

// clocksDiffer is how far the clock of the authorization server may be ahead of
// ours. A token that the server issued just before a logout must be revoked too.
// Therefore the tokens of a login within that time after the logout are also
// refused. To end only one login, so that its user can log in again at once, revoke
// by its sid.
const clocksDiffer = 5 * time.Second

// logout revokes all tokens that were issued to its user until now, for every
// device and on every instance.
func logout(issuer string, revoker oauthz.Revoker) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		now := time.Now()
		err := revoker.Revoke(r.Context(), oauthz.Revocation{
			Match:       map[string]any{"iss": issuer, "sub": token.Subject},
			IssuedUntil: now.Add(clocksDiffer),
			Expires:     now.Add(longestLife),
			Reason:      "logged out",
		})
		if err != nil { // the revocation may not be durable, so the client must get an error
			w.Header().Set("Retry-After", "1")
			http.Error(w, "cannot log out now", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
