// Minimal is the program on the first screen of the README.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

func main() {
	introspector, err := localjwt.New(context.Background(), localjwt.Config{
		Issuer:   "https://login.example.com",
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(list)))
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func list(w http.ResponseWriter, r *http.Request) {
	token, _ := oauthz.TokenFrom(r.Context())
	fmt.Fprintln(w, "orders of", token.Subject)
}
