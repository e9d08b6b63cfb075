// Package localjwt verifies JWT access tokens in process, with the keys that
// their issuer publishes (RFC 7519, RFC 9068).
//
//	introspector, err := localjwt.New(ctx, localjwt.Config{
//		Issuer:   "https://login.example.com",
//		Audience: []string{"https://api.example.com"},
//	})
//
// It is strict about the token: signature algorithms that are asymmetric and
// that fit the key, one spelling of the compact form, no critical extensions,
// JSON with one reading, issuer and audience compared exactly, and an expiry. A
// JWT of another kind from the same issuer (an ID token, a logout token, a
// refresh token) is no access token.
//
// And it is calm about the keys. They are fetched in the background; a token
// whose key is known never waits. A key that is not known is fetched at once,
// past the caches on the way, one fetch for all requests that wait for it; forged
// key names cause one fetch an interval, and within it a token that may be
// younger than the keys gets 503 and not 401. So a rotation refuses no good token,
// nor does a server that restarts with a new key under an old name, or a clock
// that is off by less than the leeway. If the keys cannot be had, the last good
// ones serve for a day, and after that the answer is 503 and not 401. A key that
// is withdrawn is gone, from caches too.
package localjwt
