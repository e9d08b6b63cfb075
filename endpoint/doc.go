// Package endpoint has http.Handlers that a server offers to others: token
// introspection (RFC 7662, signed by RFC 9701), token revocation (RFC 7009), and
// for the callers and the administrators of an API what a token says and which
// tokens are revoked.
//
//	clients := endpoint.ClientSecret(func(ctx context.Context, clientID string, secret oauthz.Secret) error {
//		want, known := hashes[clientID]
//		got := sha256.Sum256([]byte(secret))
//		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !known {
//			return endpoint.ErrInvalidClient
//		}
//		return nil
//	})
//	introspection, err := endpoint.Introspection(endpoint.IntrospectionConfig{
//		Introspector: verifier, Revocations: []oauthz.RevocationList{revoked}, Auth: clients,
//	})
//	revocation, err := endpoint.Revocation(endpoint.RevocationConfig{
//		Introspector: verifier, Revoker: revoked, Auth: clients,
//	})
//	mux.Handle("/introspect", introspection)
//	mux.Handle("/revoke", revocation)
//
// Rules that hold for all of them:
//
//   - Nobody who is not authenticated learns anything of a token.
//   - "Cannot tell" is 503 with Retry-After: never an inactive token, and never
//     a revocation that was not recorded.
//   - No byte of a token, a secret or a cause is in a response; causes go to the
//     Report of the configuration.
//   - Nothing is cached: every response says no-store.
//
// The handlers are safe for concurrent use, keep no state and start no
// goroutine. Limit how often a client may ask, as for any endpoint that takes a
// secret, in front of them.
package endpoint
