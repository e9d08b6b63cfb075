// Package localjwt verifies JWT access tokens in process, with the keys that
// their issuer publishes (RFC 7519, RFC 9068).
//
//	introspector, err := localjwt.New(ctx, localjwt.Config{
//		Issuer:   "https://login.example.com",
//		Audience: []string{"https://api.example.com"},
//	})
//
// An [Introspector] accepts a token only if its signature algorithm is asymmetric
// and fits the key, its compact form has the one canonical encoding (RFC 7515
// §3.1), its header has no critical extension (RFC 7515 §4.1.11), its JSON has only
// one reading, its issuer and audience are exactly those configured, and it has an
// expiry that has not passed. It refuses a JWT of another kind from the same issuer
// (an ID token, a logout token, a refresh token; RFC 8725 §3.11).
//
// The keys are fetched in the background. A token whose key is known never waits.
// An unknown key is fetched at once, past the caches on the way, with one fetch for
// all requests that wait for it. Forged key names cause at most one fetch in an
// interval. Within the interval, a token that may be younger than the keys gets 503
// and not 401. So no good token is refused because of a rotation, because of a
// server that restarts with a new key under an old name, or because of a clock that
// is off by less than the leeway.
//
// If the keys cannot be fetched, the last good keys serve for a day; after that the
// answer is 503 and not 401. A key that the issuer withdraws no longer verifies a
// token, and a cache drops the tokens that the key has verified.
package localjwt
