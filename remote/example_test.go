package remote_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// vendor is the dialect of an endpoint that does not implement RFC 7662. The token is
// the credential of the request, the status for an inactive token is 404, and the
// members of the answer have other names.
type vendor struct{}

func (vendor) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r, nil, nil
}

func (vendor) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, oauthz.ErrInactive
	default:
		return nil, remote.Fault("the vendor refuses the request", r.StatusCode)
	}
	raw, err := oauthz.ParseToken(body) // strict: a member twice is an error, and case counts
	if err != nil {
		return nil, remote.Fault("the answer is malformed", r.StatusCode)
	}
	answer, err := oauthz.ClaimsAs[struct {
		User   string   `json:"user"`
		Rights []string `json:"rights"`
	}](raw)
	if err != nil || answer.User == "" { // {} is not a token
		return nil, remote.Fault("the answer is malformed", r.StatusCode)
	}
	raw.Subject, raw.Scopes = answer.User, answer.Rights
	return raw, nil
}

// The endpoint of a vendor needs a Dialect, which has two methods. Limits, faults, the
// retry and the breaker are the same for every Dialect.
func ExampleDialect() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok_alice" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"user": "alice", "rights": []string{"orders:read"}})
	}))
	defer server.Close()

	introspector, err := remote.New(context.Background(), remote.Config{
		Endpoint:            server.URL + "/whoami",
		Dialect:             vendor{},
		InsecureAnyAudience: true, // the answers of the vendor have no audience
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := introspector.Introspect(context.Background(), "tok_alice")
	fmt.Println(token.Subject, token.Scopes, err)
	_, err = introspector.Introspect(context.Background(), "tok_mallory")
	fmt.Println(err)
	// Output:
	// alice orders:read <nil>
	// oauthz: invalid token: inactive
}

// A server introspects refresh tokens as active, in answers without a token_type: the
// answers about refresh tokens and access tokens do not differ. Here the tokens
// differ in form, so Recognize refuses the refresh tokens.
func ExampleConfig_recognize() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"active": true, "sub": "alice", "aud": "https://api.example"})
	}))
	defer server.Close()

	introspector, err := remote.New(context.Background(), remote.Config{
		Endpoint: server.URL,
		Auth:     remote.Basic("orders-api", "secret"),
		Audience: []string{"https://api.example"},
		Recognize: func(token string) bool {
			return strings.HasPrefix(token, "at_") // its refresh tokens begin with rt_
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := introspector.Introspect(context.Background(), "at_TjVpEQ")
	fmt.Println(token.Subject, err)
	_, err = introspector.Introspect(context.Background(), "rt_9rmK2w")
	fmt.Println(err)
	// Output:
	// alice <nil>
	// oauthz: token not recognized
}
