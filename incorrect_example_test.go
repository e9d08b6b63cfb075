package oauthz_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/oauthz/oauthz"
)

// The example below shows a mistake that is common, and that no test with good tokens finds.
//
// A middleware of the program's own reads the claims out of every token, for the log say, and puts them into the context;
// a handler then checks the scope there. Nobody asked whether the token is genuine, so whoever writes one gets in.
//
// [oauthz.TokenFrom] cannot tell who put a token into the context: it reads what a Guard found, and equally what
// [oauthz.WithToken] was given. So protect every route with [oauthz.Guard.Protect], which judges the credentials of the
// request whatever is in its context, and let it check the scope: see the example of the package.
func Example_incorrect() {
	mux := http.NewServeMux()
	mux.HandleFunc("DELETE /orders", func(w http.ResponseWriter, r *http.Request) { // incorrect! There is no Protect.
		token, ok := oauthz.TokenFrom(r.Context())
		if !ok || !token.Scopes.Has("orders:write") { // incorrect! Whose scopes are these?
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "deleted for ", token.Subject)
	})
	server := withClaims(mux)

	// Anybody can write a token. This one is not even signed.
	encode := base64.RawURLEncoding.EncodeToString
	forged := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"sub":"mallory","scope":"orders:write"}`)) + "."

	r := httptest.NewRequest("DELETE", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+forged)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	// With Protect the same server, with the same middleware, refuses.
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
		return nil, oauthz.ErrInvalidToken // localjwt would say so of this token
	})})
	if err != nil {
		log.Fatal(err)
	}
	w = httptest.NewRecorder()
	withClaims(guard.Protect(oauthz.Require("orders:write"))(mux)).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))

	// Output:
	// 200 deleted for mallory
	// 401 Bearer realm="api", error="invalid_token", error_description="The access token is not valid"
}

// withClaims decodes a token and verifies nothing.
func withClaims(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "."); ok {
			payload, _, _ := strings.Cut(rest, ".")
			claims, _ := base64.RawURLEncoding.DecodeString(payload)
			if token, err := oauthz.ParseToken(claims); err == nil {
				r = r.WithContext(oauthz.WithToken(r.Context(), token)) // incorrect!
			}
		}
		next.ServeHTTP(w, r)
	})
}
