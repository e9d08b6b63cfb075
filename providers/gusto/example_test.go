package gusto_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/gusto"
)

// An API whose users present access tokens of Gusto.
func ExampleNew() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // stands for Gusto
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"scope":"companies:read","resource":{"type":"Company","uuid":"7b1d0df1"},"resource_owner":{"type":"CompanyAdmin","uuid":"8fdc31f0"}}`)
	}))
	defer api.Close()

	client, err := gusto.New(gusto.Config{
		BaseURL:           api.URL, // without it, the client calls the production API
		InsecureAnyClient: true,    // Gusto does not name the application of a token
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
	handler := guard.Protect(oauthz.Require("companies:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, _ := oauthz.TokenFrom(r.Context())
		fmt.Fprintf(w, "%s for %s", t.Subject, t.Tenant)
	}))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer As8qKfNObHbwe7abbJqF0WUF6iCQoIW2R664TFzXd-A")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 CompanyAdmin/8fdc31f0 for Company/7b1d0df1
}
