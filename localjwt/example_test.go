package localjwt_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// An API verifies the JWTs of one issuer, whose keys it discovers. Here the
// issuer is a fake one, in the same process.
func Example() {
	issuer := oauthztest.NewServer(oauthztest.Config{Audience: []string{"https://api.example"}})
	defer issuer.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // ends the fetching of keys
	introspector, err := localjwt.New(ctx, localjwt.Config{
		Issuer:   issuer.Issuer(),
		Audience: []string{"https://api.example"},
	})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
	if err != nil {
		log.Fatal(err)
	}
	api := guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		fmt.Fprint(w, "orders of ", token.Subject)
	}))

	for _, claims := range []oauthztest.Claims{
		{"sub": "alice", "scope": "orders:read"},
		{"sub": "bob", "scope": "profile"},
		{"sub": "carol", "scope": "orders:read", "aud": "https://other.example"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Mint(claims))
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 orders of alice
	// 403 {"error":"insufficient_scope","error_description":"The access token lacks a scope that is required"}
	// 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}

// Two issuers, each with its own keys alone: the key of one never verifies a
// token of the other.
func ExampleByIssuer() {
	customers := oauthztest.NewServer(oauthztest.Config{})
	defer customers.Close()
	staff := oauthztest.NewServer(oauthztest.Config{})
	defer staff.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var introspectors []*localjwt.Introspector
	for _, issuer := range []string{customers.Issuer(), staff.Issuer()} {
		in, err := localjwt.New(ctx, localjwt.Config{Issuer: issuer, Audience: []string{"https://api.example"}})
		if err != nil {
			log.Fatal(err)
		}
		introspectors = append(introspectors, in)
	}
	both, err := localjwt.ByIssuer(introspectors...)
	if err != nil {
		log.Fatal(err)
	}

	token, err := both.Introspect(ctx, staff.Mint(oauthztest.Claims{"sub": "alice"}))
	fmt.Println(token.Subject, token.Issuer == staff.Issuer(), err)
	_, err = both.Introspect(ctx, customers.Mint(oauthztest.Claims{"sub": "mallory", "iss": "https://elsewhere.example"}))
	fmt.Println(err)
	// Output:
	// alice true <nil>
	// oauthz: invalid token: no introspector for its issuer
}
