package affix_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/affix"
)

// An API that accepts the tokens of one client of Affix.
func ExampleNew() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // stands for Affix
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"client_id":"our-client","mode":"xhr","provider":"sandbox","scopes":["/2023-03-01/xhr/payruns/:payrun_id"]}`)
	}))
	defer api.Close()

	client, err := affix.New(affix.Config{
		BaseURL:   api.URL, // without it, the client calls the production API
		ClientIDs: []string{"our-client"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: client}) // better with a cache around client
	if err != nil {
		fmt.Println(err)
		return
	}
	payruns := oauthz.Require("/2023-03-01/xhr/payruns/:payrun_id") // the template itself
	handler := guard.Protect(payruns)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, _ := oauthz.TokenFrom(r.Context())
		fmt.Fprint(w, t.ClientID, " ", t.Subject)
	}))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 our-client xhr/sandbox
}
