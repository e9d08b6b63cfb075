// Package affix introspects the access tokens of Affix.
//
//	client, err := affix.New(affix.Config{ClientIDs: []string{"0a1b2c3d-…"}})
//
// A [Client] is an [oauthz.Introspector]. Put a cache around it (package cache):
// Affix takes 40 questions a minute from one address, and 40 in five minutes
// about the tokens of one client. Its tokens do not expire; they end when their
// user disconnects, which is noticed when the cache asks again.
//
// The scopes are path templates, such as /2023-03-01/xhr/payruns/:payrun_id, and
// are required as they stand:
//
//	guard.Protect(oauthz.Require("/2023-03-01/xhr/payruns/:payrun_id"))
//
// Affix names no user: the Subject is the mode and the provider of the
// connection, xhr/sandbox, and many tokens have the same.
//
// [Client.Inspect] fails with a *[providers.OperationError], which errors.As finds:
// it says which status the answer had, and how long Affix asks to wait.
package affix
