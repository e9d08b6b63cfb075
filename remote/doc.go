// Package remote validates opaque access tokens at the authorization server: by
// token introspection (RFC 7662), with signed answers too (RFC 9701), and, through
// a [Dialect], at the endpoints of vendors that do not implement RFC 7662.
//
//	introspector, err := remote.New(ctx, remote.Config{
//		Issuer:   "https://login.example.com", // or Endpoint
//		Auth:     remote.Basic("orders-api", secret),
//		Audience: []string{"https://api.example.com"},
//	})
//
// Put a cache around it (package cache): without a cache, each request causes a
// call to the server.
//
// The package checks each answer. The member active must be true or false, and the
// expiry, the issuer and the audience are checked again here (RFC 7662 §4). A
// member that is null counts as absent.
//
// Most servers introspect a refresh token as active. The package refuses a token
// whose token_type, token_use or typ names a refresh token. Some servers send none
// of these members; a refresh token may then pass for an access token. Distinguish
// the two with Config.Recognize if they differ in form, and require an audience, or
// a scope that refresh tokens do not have.
//
// An error response about this API (its credentials, its requests), and an answer
// that cannot be parsed, are faults: the Guard answers 503. They are never a reason
// to refuse the token of a client.
//
// A request never waits long for its turn. While the endpoint is overloaded, the
// package sends as many requests as the endpoint can answer, each with the whole
// Timeout, and refuses the others (503). While the endpoint is down, the package
// refuses all requests at once, except one every two seconds. Before the endpoint
// counts as down, and then beside that one request, the package sends a probe: a
// question about a random token that no client chose. So tokens on which a server
// hangs, or to which it answers 502, do not keep other tokens out. The package does
// not read the answer to a probe, except for its status.
package remote
