// Package cache remembers the answers of an introspector. Concurrent requests with
// the same token cause one call to the introspector.
//
//	remembering, err := cache.New(introspector, cache.Config{TTL: time.Minute})
//	guard, err := oauthz.New(oauthz.Config{Introspector: remembering})
//
// The cache remembers the answers of the introspector, never the decisions of a
// Guard. The Guard checks the requirement of the route and the revocation lists on
// every request.
//
// An entry expires after the TTL, with the token, or when the key that verified the
// token is withdrawn. If only the authorization server knows that a token is
// revoked, the token is accepted for at most TTL, and for up to StaleIfError longer
// while the introspector returns faults. [Cache.Forget] removes the entry at once.
//
// Refusals are stored separately, in a small number and for a short time, so that a
// flood of junk tokens cannot evict valid ones. Faults are not remembered.
//
// The key of an entry is the SHA-256 of the token. The cache does not keep tokens.
package cache
