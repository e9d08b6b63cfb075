// Package remote asks an authorization server what an opaque access token says:
// token introspection (RFC 7662), signed answers (RFC 9701), and, through a
// [Dialect], the endpoints of vendors that have their own.
//
//	introspector, err := remote.New(ctx, remote.Config{
//		Issuer:   "https://login.example.com", // or Endpoint
//		Auth:     remote.Basic("orders-api", secret),
//		Audience: []string{"https://api.example.com"},
//	})
//
// Put a cache around it (package cache): without one, each request is a call.
//
// The answer is believed as far as it goes, and no further: active must be true
// or false, and the expiry, issuer and audience are checked again here. A member
// that is null counts as absent.
//
// Most servers introspect a refresh token as active. One whose token_type,
// token_use or typ names it is refused. Where answers have no such member, and
// some servers send none, a refresh token may pass for an access token: tell the
// two apart with Config.Recognize if they differ in form, and require an audience,
// or a scope that refresh tokens do not have.
//
// Whatever the server says of us (our credentials, our requests), and whatever
// cannot be understood, is a fault: 503, and never a reason to tell a client
// that its token is bad.
//
// A request is never queued for long. While the endpoint is overloaded, as many
// requests as it can answer are sent, each with the whole Timeout, and the rest is
// refused (503). While it is down, all are refused at once, except one every two
// seconds. Before it counts as down, and then beside that request, the endpoint is
// asked about a random token that no client chose: so tokens on which a server
// hangs, or answers 502, keep no other tokens out. An answer about it is not read.
package remote
