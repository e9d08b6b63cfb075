// Package polar is for APIs whose access tokens Polar (https://polar.sh) issued:
// its dialect of token introspection (RFC 7662), and its other OAuth 2.0
// operations.
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
// dies the moment that it is refreshed.
//
// What to know of Polar:
//
//   - It tells a client about that client's own tokens alone: to all others a
//     token is inactive. ClientID must be the client that the tokens were issued
//     to, and no other client's token is accepted.
//   - Without a hint it introspects a refresh token as active, with the answer of
//     an access token. The hint access_token is always sent, and nothing but an
//     access token, by its form and checksum, is sent at all. A string that begins
//     like another of Polar's secrets is refused; it is not handed to the next of
//     an [oauthz.FirstOf].
//   - A 401 is about our credentials. A dead token is "active":false.
//   - Subject is the kind of the subject and its id: "user/1dbfc517-…" or
//     "organization/0a7e5d3c-…". A token may be narrowed to some organizations:
//     the claim organizations, where an empty array stands for all of them.
//     Tenant is therefore empty.
//
// A cache goes on accepting a token that was revoked until its TTL is over. Give
// [Config].Revoker the list that the Guard has in its Revocations, and
// [Client.Revoke] ends that too, on all instances that share the list.
//
// All operations but Introspect fail with a *[providers.OperationError], which
// errors.As finds: it says what failed, which status the answer had, and how long
// Polar asks to wait.
package polar
