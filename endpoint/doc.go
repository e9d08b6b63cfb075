// Package endpoint provides http.Handlers for servers: token introspection
// (RFC 7662, signed by RFC 9701), token revocation (RFC 7009), the claims of the
// caller's own token, and, for administrators, the list of revocations.
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
//	Introspector: verifier, RevocationLists: []oauthz.RevocationList{revoked}, Auth: clients,
//	})
//	revocation, err := endpoint.Revocation(endpoint.RevocationConfig{
//		Introspector: verifier, Revoker: revoked, Auth: clients,
//	})
//	mux.Handle("/introspect", introspection)
//	mux.Handle("/revoke", revocation)
//
// Rules for all handlers:
//
//   - A caller that is not authenticated learns nothing about any token.
//   - A fault is answered with 503 and Retry-After. A fault never makes a token
//     look inactive, and never makes a failed revocation look recorded.
//   - No response contains a byte of a token, a secret or a cause. Causes go to the
//     Report hook of the configuration.
//   - Every response has Cache-Control: no-store.
//
// The handlers are safe for concurrent use, keep no state and start no goroutine.
// They do not limit the rate of requests. Put a rate limit in front of them, as in
// front of any endpoint that accepts a secret.
package endpoint
