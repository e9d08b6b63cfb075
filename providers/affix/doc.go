// Package affix introspects the access tokens of Affix.
//
//	client, err := affix.New(affix.Config{ClientIDs: []string{"0a1b2c3d-…"}})
//
// A [Client] is an [oauthz.Introspector]. Put a cache around it (package cache):
// Affix allows 40 introspections a minute from one address, and 40 in five minutes
// for the tokens of one client. The tokens do not expire. A token ends when its
// user disconnects; the API learns this when the cache calls Affix again.
//
// The scopes are path templates, such as /2023-03-01/xhr/payruns/:payrun_id.
// Require the template itself:
//
//	guard.Protect(oauthz.Require("/2023-03-01/xhr/payruns/:payrun_id"))
//
// Affix does not name a user: the Subject is the mode and the provider of the
// connection, xhr/sandbox, and many tokens have the same Subject.
//
// [Client.IntrospectRaw] fails with a *[providers.OperationError], which errors.As
// finds. It holds the operation, the status of the answer, and how long Affix wants
// the client to wait.
package affix
