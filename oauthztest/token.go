package oauthztest

import (
	"fmt"

	"github.com/oauthz/oauthz"
)

// Token makes a token to call a handler with, without any server:
//
//	ctx := oauthz.WithToken(r.Context(), oauthztest.Token(oauthztest.Claims{"sub": "alice", "scope": "orders:read"}))
//	handler.ServeHTTP(w, r.WithContext(ctx))
//
// It has an issuer, the subject "user-1" and the client "client-1" unless claims say otherwise; a claim that is [Absent]
// is left out. It panics if claims are not those of a token: a test could do nothing else about it.
func Token(claims Claims) *oauthz.Token {
	defaults := map[string]any{"iss": "https://issuer.example", "sub": "user-1", "client_id": "client-1"}
	t, err := oauthz.ParseToken(encoded(filled(defaults, claims)))
	if err != nil {
		panic(fmt.Errorf("oauthztest: token: %w", err))
	}
	return t
}
