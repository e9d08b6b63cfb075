// Package agilicus is for APIs whose access tokens Agilicus
// (https://www.agilicus.com) issued. It implements Agilicus's dialect of token
// introspection, and the other operations of its tokens API.
//
//	client, err := agilicus.New(agilicus.Config{Audience: []string{"urn:api:agilicus:gateway"}})
//	if err != nil { … }
//	guard, err := oauthz.New(oauthz.Config{Introspector: client})
//
// The [Client] is an [oauthz.Introspector]. Put a cache around it (package
// cache): without one, each request is a call.
//
// About Agilicus:
//
//   - Introspecting, reissuing and revoking need no authentication: every client that
//     has a token can do it. Only Audience shows that a token is meant for this API.
//
//   - For a revoked token, the answer is a 410. An answer has no member active: it
//     must have sub and exp, and exp is checked here.
//
//   - Agilicus introspects refresh tokens too, and marks them by refresh_token_jti.
//     They are refused.
//
//   - Scopes are an upper bound: a scope in a token does not mean that its user has
//     the permission. Check the roles as well:
//
//     claims, err := oauthz.ClaimsAs[agilicus.Token](token)
//     … slices.Contains(claims.Roles["urn:api:agilicus:users"], "owner")
//
//   - Tenant is the organization (org). Answers do not name an issuer: Issuer is the
//     base URL, and a revocation must name that.
//
//   - Every JWT is sent to Agilicus, because nothing in it identifies its issuer.
//     Beside an introspector for the JWTs of another issuer, put this one last in an
//     [oauthz.FirstOf]; after [localjwt], which refuses the JWTs of others, it is
//     never called.
//
// A cache accepts a revoked token until the end of its TTL. Set [Config].Revoker to
// the list that the Guard has in its RevocationLists. [Client.Revoke] then ends that too,
// on all instances that share the list and have the same BaseURL.
//
// All operations except Introspect fail with a *[providers.OperationError], which
// errors.As finds. It holds the operation, the status of the answer, and how long
// Agilicus wants the client to wait.
//
// [localjwt]: https://pkg.go.dev/github.com/oauthz/oauthz/localjwt
package agilicus
