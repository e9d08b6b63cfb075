// Package polar is for APIs whose access tokens Polar (https://polar.sh) issued. It
// implements Polar's dialect of token introspection (RFC 7662), and Polar's other
// OAuth 2.0 operations.
//
//	client, err := polar.New(polar.Config{
//		ClientID:     "polar_ci_…",
//		ClientSecret: oauthz.Secret(os.Getenv("POLAR_CLIENT_SECRET")),
//	})
//	if err != nil { … }
//	guard, err := oauthz.New(oauthz.Config{Introspector: client})
//
// The [Client] is an [oauthz.Introspector]. Put a cache around it (package
// cache), with a short TTL: Polar allows 500 calls a minute, and an access token
// ends at once when it is refreshed.
//
// About Polar:
//
//   - Polar introspects for a client only the tokens of that client: the tokens of
//     all other clients are inactive. ClientID must be the client that the tokens were
//     issued to, and no other client's token is accepted.
//   - Without a hint, Polar introspects a refresh token as active, with the answer of
//     an access token. This package always sends the hint access_token, and sends
//     only strings that are access tokens by their form and checksum. A string that
//     begins like another secret of Polar is refused; it is not passed on to the next
//     introspector of an [oauthz.FirstOf].
//   - A 401 is about our credentials. A token that has ended is "active":false.
//   - Subject is the kind of the subject and its id: "user/1dbfc517-…" or
//     "organization/0a7e5d3c-…". A token may be limited to some organizations by the
//     claim organizations, where an empty array means all of them. Therefore Tenant
//     is empty.
//
// A cache accepts a revoked token until the end of its TTL. Set [Config].Revoker to
// the list that the Guard has in its RevocationLists. [Client.Revoke] then ends that too,
// on all instances that share the list.
//
// All operations except Introspect fail with a *[providers.OperationError], which
// errors.As finds. It holds the operation, the status of the answer, and how long
// Polar wants the client to wait.
package polar
