package polar_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/polar"
)

// An API whose access tokens Polar issues. A local server stands for Polar; without
// BaseURL, the client calls Polar itself.
func Example() {
	standIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":false}`)
	}))
	defer standIn.Close()
	client, err := polar.New(polar.Config{ClientID: "polar_ci_abc", ClientSecret: "polar_cs_abc", BaseURL: standIn.URL})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: client})
	if err != nil {
		log.Fatal(err)
	}
	api := guard.Protect(oauthz.Require("openid"))(http.NotFoundHandler())

	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer polar_at_u_Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8N07aUzK")
	response := httptest.NewRecorder()
	api.ServeHTTP(response, request)
	fmt.Println(response.Code, response.Body)
	// Output: 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}
