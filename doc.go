// Package oauthz protects an HTTP API with OAuth 2.0 access tokens: it makes a
// net/http server an OAuth 2.0 resource server (RFC 6749 §1.1, RFC 6750).
//
// An [Introspector] validates a token and returns its claims. A [Guard] turns
// the introspector into middleware. The Guard enforces what each route requires,
// next to the definition of the route, and hands the token to the handler:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"net/http"
//
//		"github.com/oauthz/oauthz"
//		"github.com/oauthz/oauthz/localjwt"
//	)
//
//	func main() {
//		introspector, err := localjwt.New(context.Background(), localjwt.Config{
//			Issuer:   "https://login.example.com",
//			Audience: []string{"https://api.example.com"},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
//		if err != nil {
//			log.Fatal(err)
//		}
//		http.Handle("GET /orders", guard.Protect(oauthz.Require("orders:read"))(http.HandlerFunc(list)))
//		log.Fatal(http.ListenAndServe(":8080", nil))
//	}
//
//	func list(w http.ResponseWriter, r *http.Request) {
//		token, _ := oauthz.TokenFrom(r.Context())
//		fmt.Fprintln(w, "orders of", token.Subject)
//	}
//
// # Rules of use
//
//   - Protect every route. Write [Public] where a route is open on purpose.
//   - The Guard takes tokens from the Authorization field alone (RFC 6750 §2.1).
//     A token in the query or in a form is not a credential.
//   - Every refusal has one of a few outcomes, and each outcome has one status
//     and one challenge: see [Outcome] and [Error]. The Guard rejects a token with
//     401 only if it is known to be bad: an introspector, a confirmer or a
//     revocation list has rejected it, or it has expired. If the authorization
//     server, its keys or a revocation list cannot be reached, the Guard answers
//     503 with Retry-After, so that an outage does not log all users out.
//   - A token that is bound to a key (claim cnf, RFC 7800 §3) is refused unless a
//     [Confirmer] has checked possession of that key. It is never accepted as a
//     bearer token.
//   - The claims of a token may be cached. The requirement of a route is checked
//     on every request.
//   - No byte of a token, of a header or of an upstream answer is ever sent to a
//     client. [Config.Observe] receives the cause of a refusal.
//
// A long-lived response (WebSocket, server-sent events) outlives the check at
// its start. A handler that serves one must end it at the ExpiresAt of the token.
//
// Routers: the middleware of [Guard.Protect] is net/http middleware. The modules
// below github.com/oauthz/oauthz/adapters have the middleware of chi, gin and
// echo. A test can list the requirement of every route without running a handler
// ([Route]): see RouteTable in [github.com/oauthz/oauthz/oauthztest].
//
// Introspectors: [github.com/oauthz/oauthz/localjwt] verifies JWTs locally, with
// the keys that the issuer publishes. [github.com/oauthz/oauthz/remote] sends
// opaque tokens to the introspection endpoint of the authorization server (RFC
// 7662). [github.com/oauthz/oauthz/cache] remembers the answers of either.
//
// Revocation: [github.com/oauthz/oauthz/revlog] refuses revoked tokens on every
// instance. [github.com/oauthz/oauthz/endpoint] has the introspection and
// revocation endpoints, with which other servers introspect tokens at this server
// and revoke them. Tests of handlers use
// [github.com/oauthz/oauthz/oauthztest].
package oauthz
