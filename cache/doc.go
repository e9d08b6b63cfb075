// Package cache remembers what an introspector said of a token, and asks once
// for many callers.
//
//	remembering, err := cache.New(introspector, cache.Config{TTL: time.Minute})
//	guard, err := oauthz.New(oauthz.Config{Introspector: remembering})
//
// It remembers facts, never decisions: what a route requires is checked by the
// Guard on every request, and so are revocation lists. A verdict ends with the
// TTL, with the token's expiry, and with what verified it: a key that is
// withdrawn takes its verdicts along. So a token that only the server knows to
// be revoked is accepted for at most TTL, and StaleIfError longer while the
// server cannot be asked; [Cache.Forget] ends that at once.
//
// Refusals are kept apart, few and for a short time, so that a flood of junk
// tokens pushes no good one out. Faults are not remembered at all.
//
// Tokens are known by their SHA-256 alone; the cache holds none.
package cache
