package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/remote"
)

// audience is the name of this API in the aud of an introspection response.
const audience = "https://notes.example"

// config has the settings that differ between deployments of the API.
type config struct {
	Issuer        string            // the authorization server; its metadata name the introspection endpoint
	RevocationURL string            // of the authorization server, for /logout
	Auth          remote.ClientAuth // the credentials of the API at the authorization server
	Observe       func(context.Context, oauthz.Decision)
	Now           func() time.Time // nil: the clock of the machine
}

// An api is the API. Its tokens are opaque: only the authorization server knows
// their claims, so the API introspects a token, once for as long as the cache keeps
// the result.
type api struct {
	http.Handler
	cfg   config
	cache *cache.Cache
}

// newAPI does not wait for the authorization server, so the API starts even while
// the server is down. The end of ctx ends the discovery of the introspection
// endpoint. The caller must close the API's cache.
func newAPI(ctx context.Context, cfg config) (*api, error) {
	introspector, err := remote.New(ctx, remote.Config{
		Issuer:   cfg.Issuer,
		Auth:     cfg.Auth,
		Audience: []string{audience},
		Now:      cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	remembering, err := cache.New(introspector, cache.Config{
		TTL:          time.Minute,      // the longest time for which a token that was revoked at the server is still accepted
		StaleIfError: 10 * time.Minute, // the additional time while the server cannot be reached
		Now:          cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: remembering, Observe: cfg.Observe, Now: cfg.Now})
	if err != nil {
		return nil, errors.Join(err, remembering.Close())
	}
	a := &api{cfg: cfg, cache: remembering}
	mux := http.NewServeMux()
	mux.Handle("GET /notes", guard.Protect(oauthz.Require("notes:read"))(http.HandlerFunc(listNotes)))
	mux.Handle("DELETE /notes/{id}", guard.Protect(oauthz.Require("notes:write"))(http.HandlerFunc(removeNote)))
	mux.Handle("POST /logout", guard.Protect(oauthz.Require())(http.HandlerFunc(a.logout))) // any valid token
	a.Handler = mux
	return a, nil
}

func listNotes(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.TokenFrom(r.Context()) // behind Protect there is always a token
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails only if the client has disconnected
		"owner": token.Subject,
		"notes": []string{"buy a lamp", "call the plumber"},
	})
}

func removeNote(w http.ResponseWriter, _ *http.Request) {
	// Your own code here: a request that reaches this line may write notes.
	w.WriteHeader(http.StatusNoContent)
}

// logout revokes the token of its request: first at the server, then in the cache.
// In the other order, a request in between would put the token into the cache again.
func (a *api) logout(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.BearerToken(r) // behind Protect there is one
	if err := a.revoke(r.Context(), token); err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "cannot log out now", http.StatusServiceUnavailable)
		return
	}
	a.cache.Forget(token)
	w.WriteHeader(http.StatusNoContent)
}

// revocation is the client for the revocation endpoint. It does not follow redirects,
// which could send the token and our secret to any server.
var revocation = &http.Client{
	Timeout:       5 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// revoke sends the request of RFC 7009 §2.1.
func (a *api) revoke(ctx context.Context, token string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.RevocationURL, nil)
	if err != nil {
		return err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	if err := a.cfg.Auth.Apply(ctx, r, form); err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body := form.Encode()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	response, err := revocation.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation: status %d", response.StatusCode)
	}
	return nil
}
