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

// audience is what this API is called in what the server says of a token.
const audience = "https://notes.example"

// config is what differs between one place where the API runs and another.
type config struct {
	Issuer        string            // the authorization server; it says itself where it introspects
	RevocationURL string            // of the authorization server, for /logout
	Auth          remote.ClientAuth // who the API is to the authorization server
	Observe       func(context.Context, oauthz.Decision)
	Now           func() time.Time // nil: the clock of the machine
}

// An api is the API. Its tokens are opaque: only the authorization server knows
// what they say, so it is asked, once for as long as the cache remembers.
type api struct {
	http.Handler
	cfg   config
	cache *cache.Cache
}

// newAPI does not wait for the authorization server, so the API starts even
// while that is down. ctx ends the search for its introspection endpoint; close
// the API's cache at the end.
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
		TTL:          time.Minute,      // a token revoked behind our back is accepted for so long, at most
		StaleIfError: 10 * time.Minute, // and so much longer while the server is down, and cannot be asked
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
	mux.Handle("POST /logout", guard.Protect(oauthz.Require())(http.HandlerFunc(a.logout))) // any token that is good
	a.Handler = mux
	return a, nil
}

func listNotes(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.TokenFrom(r.Context()) // behind Protect there is one
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails only if the client is gone
		"owner": token.Subject,
		"notes": []string{"buy a lamp", "call the plumber"},
	})
}

func removeNote(w http.ResponseWriter, _ *http.Request) {
	// Your own code here: whoever gets this far may write notes.
	w.WriteHeader(http.StatusNoContent)
}

// logout ends the token that it is called with: first at the server, then in
// memory. The other way round, a request in between would be remembered again.
func (a *api) logout(w http.ResponseWriter, r *http.Request) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ") // behind Protect it is "Bearer" and a token
	token = strings.TrimLeft(token, " ")
	if err := a.revoke(r.Context(), token); err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "cannot log out now", http.StatusServiceUnavailable)
		return
	}
	a.cache.Forget(token)
	w.WriteHeader(http.StatusNoContent)
}

// revocation is the client for the revocation endpoint. It follows no redirect:
// that could take the token, and our secret, anywhere.
var revocation = &http.Client{
	Timeout:       5 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// revoke is a request of RFC 7009 §2.1.
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
