// Package gusto introspects the access tokens of Gusto (App Integrations and
// Embedded), and calls the other token operations of its API.
//
//	client, err := gusto.New(gusto.Config{InsecureAnyClient: true})
//
// A [Client] is an [oauthz.Introspector]. Put a cache around it (package cache):
// each introspection counts against the limit of the token's owner, which is 200
// calls a minute, and Gusto does not send the expiry of a token.
//
// Gusto answers every client that presents a token, and does not name the
// application that the token was issued to. So a token that its owner gave to any
// other application is accepted by this API too, and nothing in the answer
// distinguishes it. An API for which that is a risk compares [oauthz.Token.Tenant]
// with the companies that it knows.
//
// A cache accepts a revoked token until the end of its TTL. Set [Config].Revoker to
// the list that the Guard has in its RevocationLists. Revoke and DisconnectAppIntegration
// then end that too, on all instances that share the list and have the same BaseURL:
//
//	var list oauthz.MemoryRevocations // or a list that the instances share
//	client, err := gusto.New(gusto.Config{…, Revoker: &list})
//	guard, err := oauthz.New(oauthz.Config{Introspector: cached, RevocationLists: []oauthz.RevocationList{&list}})
//
// All operations except Introspect fail with a *[providers.OperationError], which
// errors.As finds. It holds the operation, the status of the answer, and how long
// Gusto wants the client to wait.
package gusto
