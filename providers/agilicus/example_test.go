package agilicus_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/agilicus"
)

// An API whose access tokens Agilicus issues. Scopes do not prove a permission: the
// handler checks the roles. A local server stands for Agilicus; without BaseURL, the
// client calls Agilicus itself.
func Example() {
	standIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sub":"u1","org":"o1","exp":"253402300799",`+
			`"aud":["urn:api:orders"],"scopes":["orders"],"roles":{"urn:api:orders":["viewer"]}}`)
	}))
	defer standIn.Close()
	client, err := agilicus.New(agilicus.Config{Audience: []string{"urn:api:orders"}, BaseURL: standIn.URL})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: client})
	if err != nil {
		log.Fatal(err)
	}
	api := guard.Protect(oauthz.Require("orders"))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		claims, err := oauthz.ClaimsAs[agilicus.Token](token)
		fmt.Println(token.Tenant, slices.Contains(claims.Roles["urn:api:orders"], "owner"), err)
	}))

	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln")
	api.ServeHTTP(httptest.NewRecorder(), request)
	// Output: o1 false <nil>
}
