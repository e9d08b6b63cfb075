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
// All operations but Introspect fail with a *[remote.OperationError], which
// errors.As finds: it says what failed, which status the answer had, and how long
// Gusto asks to wait.
package gusto
