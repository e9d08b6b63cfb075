// Package gusto introspects the access tokens of Gusto (App Integrations and
// Embedded), and calls the other token operations of its API.
//
//	client, err := gusto.New(gusto.Config{InsecureAnyClient: true})
//
// A [Client] is an [oauthz.Introspector]. Put a cache around it (package cache):
// each question counts against the token owner's own limit, which is 200 calls a
// minute, and Gusto does not say when a token expires.
//
// Gusto answers whoever holds the token, and does not name the application that
// it was issued to. So a token that its owner gave to any other application is
// good for this API too, and nothing in the answer could tell. An API that is in
// doubt compares [oauthz.Token.Tenant] with the companies that it knows.
//
// A cache goes on accepting a token that was revoked until its TTL is over. Give
// [Config].Revoker the list that the Guard has in its Revocations, and Revoke and
// DisconnectAppIntegration end that too, on all instances that share the list and
// name the same BaseURL:
//
//	var list oauthz.Revocations // or one that instances share
//	client, err := gusto.New(gusto.Config{…, Revoker: &list})
//	guard, err := oauthz.New(oauthz.Config{Introspector: cached, Revocations: []oauthz.RevocationList{&list}})
//
// All operations but Introspect fail with a *[providers.OperationError], which
// errors.As finds: it says what failed, which status the answer had, and how long
// Gusto asks to wait.
package gusto
