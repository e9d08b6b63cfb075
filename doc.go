// Package oauthz protects an HTTP API with OAuth 2.0 access tokens: it makes a
// net/http server an OAuth 2.0 resource server (RFC 6750).
//
// An [Introspector] says what a token says. A [Guard] turns it into middleware
// that enforces what each route requires, in the route's own definition, and
// hands the token to the handler:
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
//   - Protect every route, and say [Public] where a route is open on purpose.
//   - Tokens are taken from the Authorization field alone. One in the query or
//     in a form is no credential.
//   - A refusal is one of a handful of outcomes, and each has one status and one
//     challenge: see [Outcome] and [Error]. A client is told that its token is
//     bad (401) only if somebody who knows said so. If the authorization server,
//     its keys or a revocation list cannot be reached, that is 503 with
//     Retry-After, so that an outage does not log everybody out.
//   - A token that is bound to a key (a cnf claim) is refused unless a
//     [Confirmer] has checked that key: it is never a bearer token.
//   - What a token says is a fact, and may be remembered. What a route requires
//     is checked on every request.
//   - Nothing of a token, a header or an upstream answer is ever sent to a
//     client. [Config.Observe] sees why a request was refused.
//
// Long-lived responses (WebSocket, server-sent events) outlive the check at
// their start: a handler that serves one ends it at the token's ExpiresAt.
//
// Routers: the middleware of [Guard.Protect] is that of net/http; the modules
// below github.com/oauthz/oauthz/adapters have that of chi, gin and echo. What
// stands before a handler can be found out without running it ([Route]), so that
// a test accounts for every route: see RouteTable in
// [github.com/oauthz/oauthz/oauthztest].
//
// Introspectors: [github.com/oauthz/oauthz/localjwt] verifies JWTs here, with
// the keys that the issuer publishes; [github.com/oauthz/oauthz/remote] asks the
// authorization server about opaque tokens; [github.com/oauthz/oauthz/cache]
// remembers what either said. [github.com/oauthz/oauthz/revlog] refuses revoked
// tokens on every instance, and [github.com/oauthz/oauthz/endpoint] lets others
// ask this server, or revoke. Tests of handlers use
// [github.com/oauthz/oauthz/oauthztest].
package oauthz
