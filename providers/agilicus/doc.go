// Package agilicus is for APIs whose access tokens Agilicus
// (https://www.agilicus.com) issued: its dialect of token introspection, and the
// other operations of its tokens API.
//
//	client, err := agilicus.New(agilicus.Config{Audience: []string{"urn:api:agilicus:gateway"}})
//	if err != nil { … }
//	guard, err := oauthz.New(oauthz.Config{Introspector: client})
//
// The [Client] is an [oauthz.Introspector]. Put a cache around it (package
// cache): without one, each request is a call.
//
// What to know of Agilicus:
//
//   - Nobody authenticates to introspect, reissue or revoke: whoever holds a token
//     may do it. Only Audience says that a token is meant for this API.
//
//   - A revoked token is a 410. An answer has no member that says active: it has
//     to have sub and exp, and exp is checked here.
//
//   - It introspects refresh tokens too, marked by refresh_token_jti: they are
//     refused.
//
//   - Scopes are an upper bound: that a token names one does not mean that its user
//     has the permission. Check the roles as well:
//
//     who, err := oauthz.ClaimsAs[agilicus.Token](token)
//     … slices.Contains(who.Roles["urn:api:agilicus:users"], "owner")
//
//   - Tenant is the organization (org). Answers name no issuer: Issuer is the base
//     URL, which is what a revocation has to name.
//
//   - Any JWT is sent to Agilicus, since nothing in it says whose it is. Beside an
//     introspector of another issuer's JWTs, this one belongs last in an
//     [oauthz.FirstOf]; behind [localjwt], which refuses the JWTs of others, it is
//     never asked.
//
// A cache goes on accepting a token that was revoked until its TTL is over. Give
// [Config].Revoker the list that the Guard has in its Revocations, and
// [Client.Revoke] ends that too, on all instances that share the list and name the
// same BaseURL.
//
// All operations but Introspect fail with a *[providers.OperationError], which
// errors.As finds: it says what failed, which status the answer had, and how long
// Agilicus asks to wait.
//
// [localjwt]: https://pkg.go.dev/github.com/oauthz/oauthz/localjwt
package agilicus
