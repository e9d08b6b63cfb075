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

// The example below shows a common mistake. A test that has only good tokens does not find it.
//
// A middleware of the program decodes the claims of every token, for example for the log, and puts them into the context.
// A handler then checks the scope there. The program never verifies the token, so a client that forges one gets in.
//
// [oauthz.TokenFrom] cannot distinguish a token that a Guard has put into the context from one that [oauthz.WithToken]
// has put there. So protect every route with [oauthz.Guard.Protect], which ignores the context and validates the
// credentials of the request, and let it check the scope: see the example of the package.
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

	// Any client can forge a token. This one is not even signed.
	encode := base64.RawURLEncoding.EncodeToString
	forged := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"sub":"mallory","scope":"orders:write"}`)) + "."

	r := httptest.NewRequest("DELETE", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+forged)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	// With Protect the same server, with the same middleware, refuses.
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(context.Context, string) (*oauthz.Token, error) {
		return nil, oauthz.ErrInvalidToken // localjwt returns this error for this token
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

// withClaims decodes a token and does not verify it.
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
