package oauthztest

import (
	"fmt"

	"github.com/oauthz/oauthz"
)

// Token returns a token for the direct call of a handler, without a server:
//
//	ctx := oauthz.WithToken(r.Context(), oauthztest.Token(oauthztest.Claims{"sub": "alice", "scope": "orders:read"}))
//	handler.ServeHTTP(w, r.WithContext(ctx))
//
// By default it has an issuer, the subject "user-1" and the client "client-1". A claim that is [Absent] is left out. Token
// panics if the claims are not valid for a token: a test could only fail because of it.
func Token(claims Claims) *oauthz.Token {
	defaults := map[string]any{"iss": "https://issuer.example", "sub": "user-1", "client_id": "client-1"}
	t, err := oauthz.ParseToken(encoded(filled(defaults, claims)))
	if err != nil {
		panic(fmt.Errorf("oauthztest: token: %w", err))
	}
	return t
}
