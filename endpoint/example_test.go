package endpoint_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// A service that verifies JWTs introspects them for services that cannot, and lets clients revoke their own tokens.
func Example() {
	as := oauthztest.NewServer(oauthztest.Config{})
	defer as.Close()
	verifier, err := localjwt.New(context.Background(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{"https://api.example"}})
	if err != nil {
		panic(err)
	}
	revoked := &oauthz.MemoryRevocations{}

	// First, authenticate the clients.
	clients := endpoint.ClientSecret(checkSecret)

	// Next, make the endpoints.
	introspection, err := endpoint.Introspection(endpoint.IntrospectionConfig{
		Introspector:    verifier,
		RevocationLists: []oauthz.RevocationList{revoked},
		Auth:            clients,
		Entitled:        onlySubjectAndScope,
	})
	if err != nil {
		panic(err)
	}
	revocation, err := endpoint.Revocation(endpoint.RevocationConfig{Introspector: verifier, Revoker: revoked, Auth: clients})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/introspect", introspection)
	mux.Handle("/revoke", revocation)

	// Finally, a client introspects its token, revokes it, and introspects it again.
	token := as.Mint(oauthztest.Claims{"client_id": "billing", "scope": "invoices:read"})
	for _, path := range []string{"/introspect", "/revoke", "/introspect"} {
		fmt.Println(postAs(mux, path, token))
	}
	// Output:
	// /introspect 200 {"active":true,"scope":"invoices:read","sub":"user-1","token_type":"Bearer"}
	// /revoke 200
	// /introspect 200 {"active":false}
}

// hashes holds a hash of the secret of each client. The secret is long and random; a password would need a slow hash.
var hashes = map[string][32]byte{"billing": sha256.Sum256([]byte("correct horse battery staple"))}

func checkSecret(_ context.Context, clientID string, secret oauthz.Secret) error {
	want, known := hashes[clientID]
	got := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !known {
		return endpoint.ErrInvalidClient
	}
	return nil
}

// onlySubjectAndScope removes the members that the clients do not need.
func onlySubjectAndScope(_ context.Context, _ string, _ *oauthz.Token, members map[string]any) (bool, error) {
	for name := range members {
		if name != "sub" && name != "scope" {
			delete(members, name)
		}
	}
	return true, nil
}

// postAs sends token as the client billing, and returns the path, the status and the body.
func postAs(h http.Handler, path, token string) string {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("billing", url.QueryEscape("correct horse battery staple"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", path, w.Code, body))
}
