package oauthz

import "time"

// Outcome is the result of a [Guard]'s decision, in one word: a label for metrics.
type Outcome string

// The outcomes. All except the first four are refusals. The codes of RFC 6750
// §3.1 and RFC 9470 §3 have outcomes of the same name.
const (
	OutcomeAllowed                    Outcome = "allowed"   // the token meets the requirement
	OutcomeAnonymous                  Outcome = "anonymous" // the request has no credentials, and the route needs none
	OutcomePublic                     Outcome = "public"    // the Guard did not look for credentials
	OutcomePreflight                  Outcome = "preflight" // a CORS preflight, with Config.AllowPreflight
	OutcomeNoToken                    Outcome = "no_token"
	OutcomeInvalidRequest             Outcome = "invalid_request"
	OutcomeInvalidToken               Outcome = "invalid_token"
	OutcomeInsufficientScope          Outcome = "insufficient_scope"
	OutcomeInsufficientAuthentication Outcome = "insufficient_user_authentication"
	OutcomeUnavailable                Outcome = "unavailable"
	OutcomeServerError                Outcome = "server_error"
)

// Decision is the decision of a [Guard] about one request, for [Config.Observe].
// It holds no credentials.
type Decision struct {
	Allowed     bool          // reports whether the request is let through
	Outcome     Outcome       // the decision in one word
	Err         *Error        // the answer to the client, and its cause; nil if the request is let through
	Token       *Token        // a copy; nil if no introspector accepted a token. Also set if the token is refused later
	Requirement Requirement   // the requirement of the route
	Pattern     string        // the pattern of the route, as its router writes it; never the path. Empty if the router has not set it yet
	Source      Source        // where the verdict about the token came from, if there is one
	Duration    time.Duration // how long the decision took
}
