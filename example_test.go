package oauthz_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// A server protects its routes. Each route has its own requirement.
func Example() {
	// First make an Introspector. Here it is a table; a real program uses localjwt or remote.
	issued := map[string]string{
		"reader": `{"sub":"alice","scope":"orders:read"}`,
		"writer": `{"sub":"bob","scope":"orders:read orders:write"}`,
	}
	introspector := oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		if claims, ok := issued[token]; ok {
			return oauthz.ParseToken([]byte(claims))
		}
		return nil, oauthz.ErrInvalidToken
	})
	guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
	if err != nil {
		log.Fatal(err)
	}

	// Next protect each route with its requirement, where the route is registered.
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		fmt.Fprint(w, "hello ", token.Subject)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(handler))
	mux.Handle("POST /orders", guard.Protect(oauthz.Require("orders:write"))(handler))

	// Finally call the server.
	for _, call := range []string{"GET reader", "POST reader", "POST writer", "POST forged"} {
		method, token, _ := strings.Cut(call, " ")
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		mux.ServeHTTP(w, r)
		fmt.Println(call+":", w.Code, w.Body)
	}
	// Output:
	// GET reader: 200 hello alice
	// POST reader: 403 {"error":"insufficient_scope","error_description":"The access token lacks a scope that is required"}
	// POST writer: 200 hello bob
	// POST forged: 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}

// A program can decode its own claims into its own type. A claim sets a field only if it has exactly the name of the field.
func ExampleClaimsAs() {
	type claims struct {
		Subject string `json:"sub"`
		Role    string `json:"role"`
		Org     struct {
			ID   int    `json:"id"`
			Plan string `json:"plan"`
		} `json:"org"`
	}
	token, err := oauthz.ParseToken([]byte(`{"sub":"alice","role":"user","ROLE":"admin","org":{"id":7,"plan":"pro"}}`))
	if err != nil {
		log.Fatal(err)
	}

	c, err := oauthz.ClaimsAs[claims](token) // in a handler, of the token that TokenFrom returns
	fmt.Println(c.Subject, c.Role, c.Org.ID, c.Org.Plan, err)

	_, err = oauthz.ClaimsAs[struct {
		Role int `json:"role"`
	}](token)
	fmt.Println(err)

	// Output:
	// alice user 7 pro <nil>
	// oauthz: decode: claim for field role does not fit int
}

// A route can serve anonymous requests, and serve more to a client with a token. A bad token is still refused: its client
// would otherwise mistake the anonymous answer for its own.
func ExampleRequirement_OrAnonymous() {
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		if token != "alice" {
			return nil, oauthz.ErrInvalidToken
		}
		return &oauthz.Token{Subject: token}, nil
	})})
	if err != nil {
		log.Fatal(err)
	}
	catalogue := guard.Protect(oauthz.Require().OrAnonymous())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := oauthz.TokenFrom(r.Context()); ok {
			fmt.Fprint(w, "prices for ", token.Subject)
			return
		}
		fmt.Fprint(w, "list prices")
	}))

	for _, authorization := range []string{"", "Bearer alice", "Bearer forged"} {
		r := httptest.NewRequest("GET", "/catalogue", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		catalogue.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}

	// Output:
	// 200 list prices
	// 200 prices for alice
	// 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}

// An ErrorHandler writes refusals in the format of the other errors of an API: here as problem details (RFC 9457). The
// challenge and the other headers have been set already. Err must not be sent to the client.
func ExampleConfig_errorHandler() {
	guard, err := oauthz.New(oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) { return nil, oauthz.ErrExpired }),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, e *oauthz.Error) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(e.Status)
			_ = json.NewEncoder(w).Encode(map[string]any{"status": e.Status, "title": http.StatusText(e.Status), "detail": e.Description})
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "Bearer old")
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.NotFoundHandler()).ServeHTTP(w, r)
	fmt.Println(w.Header().Get("WWW-Authenticate"))
	fmt.Print(w.Body)

	// Output:
	// Bearer realm="api", error="invalid_token", error_description="The access token expired"
	// {"detail":"The access token expired","status":401,"title":"Unauthorized"}
}

// An Observe hook can log every decision, with the cause, which is not sent to the client.
func ExampleConfig_observe() {
	plain := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: plain}))
	guard, err := oauthz.New(oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
			if token == "unlucky" {
				return nil, fmt.Errorf("authorization server: %w", context.DeadlineExceeded)
			}
			return &oauthz.Token{Subject: "alice"}, nil
		}),
		Observe: func(ctx context.Context, d oauthz.Decision) {
			if d.Allowed {
				logger.InfoContext(ctx, "request", "outcome", d.Outcome, "subject", d.Token.Subject, "verdict", d.Source)
				return
			}
			logger.WarnContext(ctx, "request", "outcome", d.Outcome, "required", d.Requirement, "err", d.Err)
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, token := range []string{"lucky", "unlucky"} {
		r := httptest.NewRequest("GET", "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		guard.Protect(oauthz.Require())(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	}

	// Output:
	// level=INFO msg=request outcome=allowed subject=alice verdict=fresh
	// level=WARN msg=request outcome=unavailable required="any valid token" err="oauthz: temporarily_unavailable: oauthz: unavailable: authorization server: context deadline exceeded"
}

// After a logout, or if a laptop was stolen, a program revokes all tokens of a user that were issued until now. They are
// refused from the next request on.
func ExampleMemoryRevocations() {
	var revoked oauthz.MemoryRevocations // in memory: the list is lost when the program ends
	guard, err := oauthz.New(oauthz.Config{
		Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
			return oauthz.ParseToken([]byte(`{"iss":"https://login.example.com","sub":"alice","iat":1700000000}`))
		}),
		RevocationLists: []oauthz.RevocationList{&revoked},
	})
	if err != nil {
		log.Fatal(err)
	}
	call := func() {
		r := httptest.NewRequest("GET", "/orders", nil)
		r.Header.Set("Authorization", "Bearer token")
		w := httptest.NewRecorder()
		guard.Protect(oauthz.Require())(http.NotFoundHandler()).ServeHTTP(w, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}

	call() // the answer of the handler
	_ = revoked.Revoke(context.Background(), oauthz.Revocation{
		Match:       map[string]any{"iss": "https://login.example.com", "sub": "alice"},
		IssuedUntil: time.Now().Add(5 * time.Second), // the clock of the authorization server may be ahead
		Reason:      "laptop stolen",
	})
	call()

	// Output:
	// 404 404 page not found
	// 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}
