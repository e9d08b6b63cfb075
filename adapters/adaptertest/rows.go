package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// outcomes are the rows of RunOutcomes.
func outcomes() []outcome {
	var rows []outcome
	for _, group := range [][]outcome{allowed(), credentials(), refusals(), requirements(), faults(), nested(), configured(), handlers()} {
		rows = append(rows, group...)
	}
	return rows
}

func allowed() []outcome {
	return []outcome{
		{name: "allowed", bearer: "good", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "scheme in lower case", header: http.Header{"Authorization": {"bearer good"}}, status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "HEAD", method: "HEAD", bearer: "good", status: 200, ran: true, subject: "user-1", asked: 1},
		{
			name: "a form is left alone", method: "POST", bearer: "good", body: "access_token=good",
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1,
		},
	}
}

func credentials() []outcome {
	const noToken = `Bearer realm="api", scope="orders:read"`
	return []outcome{
		{name: "no token", status: 401, challenge: noToken, answer: "{}"},
		{name: "no token, no scope needed", requirements: []oauthz.Requirement{oauthz.Require()}, status: 401, challenge: `Bearer realm="api"`, answer: "{}"},
		{name: "no token, HEAD", method: "HEAD", status: 401, challenge: noToken},
		{name: "another scheme", header: http.Header{"Authorization": {"Basic dXNlcjpwYXNz"}}, status: 401, challenge: noToken, answer: "{}"},
		{name: "query", target: "?access_token=good", status: 401, challenge: noToken, answer: "{}"},
		{
			name: "form", method: "POST", body: "access_token=good", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			status: 401, challenge: noToken, answer: "{}",
		},
		{
			name: "headers that name a user", header: http.Header{"X-User": {"user-1"}, "X-Auth-Subject": {"user-1"}, "X_user": {"user-1"}},
			status: 401, challenge: noToken, answer: "{}",
		},
		{name: "WebSocket protocol", header: http.Header{"Sec-Websocket-Protocol": {"access_token, good"}}, status: 401, challenge: noToken, answer: "{}"},
		{name: "cookie", header: http.Header{"Cookie": {"access_token=good"}}, status: 401, challenge: noToken, answer: "{}"},
		{name: "malformed", bearer: "a b", status: 400, challenge: badRequestChallenge, answer: badRequest},
		{name: "repeated", header: http.Header{"Authorization": {"Bearer good"}}, bearer: "good", status: 400, challenge: badRequestChallenge, answer: badRequest},
		{name: "header and query", bearer: "good", target: "?access_token=good", status: 400, challenge: badRequestChallenge, answer: badRequest},
		{name: "too long", bearer: strings.Repeat("a", 20_000), status: 401, challenge: badTokenChallenge, answer: badToken},
		{
			name: "preflight", method: "OPTIONS", header: http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"GET"}},
			status: 401, challenge: noToken, answer: "{}",
		},
	}
}

func refusals() []outcome {
	return []outcome{
		{name: "unknown token", bearer: "junk", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
		{name: "not recognized", bearer: "foreign", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
		{name: "expired", bearer: "expired", status: 401, challenge: expiredChallenge, answer: expired, asked: 1},
		{name: "expired, although the introspector accepts it", bearer: "stale", status: 401, challenge: expiredChallenge, answer: expired, asked: 1},
		{name: "revoked", bearer: "revoked", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
		{name: "bound to a key, without a Confirmer", bearer: "bound", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
	}
}

func requirements() []outcome {
	read, write := oauthz.Require("orders:read"), oauthz.Require("orders:write")
	admin := oauthz.RequireClaim("roles", "admin")
	gold := oauthz.RequireACR("gold", "platinum")
	recent := oauthz.RequireMaxAge(5 * time.Minute)
	challenge := func(scopes string) string { return fmt.Sprintf(noScopeChallenge, scopes) }
	stepUp := func(params string) string { return fmt.Sprintf(weakLoginChallenge, params) }
	rows := []outcome{
		{name: "lacks a scope", requirements: []oauthz.Requirement{write}, status: 403, challenge: challenge("orders:write"), answer: noScope},
		{name: "lacks one of two", requirements: []oauthz.Requirement{oauthz.All(read, write)}, status: 403, challenge: challenge("orders:read orders:write"), answer: noScope},
		{name: "lacks a claim", requirements: []oauthz.Requirement{admin}, status: 403, challenge: notAllowedChallenge, answer: notAllowed},
		{name: "lacks a claim and a scope", requirements: []oauthz.Requirement{oauthz.All(write, admin)}, status: 403, challenge: notAllowedChallenge, answer: notAllowed},
		{name: "login too weak", requirements: []oauthz.Requirement{gold}, status: 401, challenge: stepUp(`acr_values="gold platinum"`), answer: weakLogin},
		{name: "login too old", requirements: []oauthz.Requirement{recent}, status: 401, challenge: stepUp(`max_age="300"`), answer: weakLogin},
		{name: "login too weak and too old", requirements: []oauthz.Requirement{oauthz.All(recent, read, gold)}, status: 401, challenge: stepUp(`acr_values="gold platinum", max_age="300"`), answer: weakLogin},
		{name: "any: a login would do", requirements: []oauthz.Requirement{oauthz.Any(write, gold)}, status: 401, challenge: stepUp(`acr_values="gold platinum"`), answer: weakLogin},
		{name: "any: the first alternative", requirements: []oauthz.Requirement{oauthz.RequireAny("orders:write", "orders:admin")}, status: 403, challenge: challenge("orders:write"), answer: noScope},
	}
	for i := range rows {
		rows[i].bearer, rows[i].asked = "good", 1
	}
	met := outcome{bearer: "strong", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1}
	for name, req := range map[string]oauthz.Requirement{
		"strong and recent login": oauthz.All(gold, recent, read), "any: the second alternative": oauthz.Any(write, gold), "any valid token": oauthz.Require(),
	} {
		row := met
		row.name, row.requirements = name, []oauthz.Requirement{req}
		rows = append(rows, row)
	}
	return rows
}

func faults() []outcome {
	brokenRevocations := func(cfg *oauthz.Config) { cfg.RevocationLists = []oauthz.RevocationList{brokenList{}} }
	return []outcome{
		{name: "introspector fails", bearer: "fault", status: 503, retryAfter: "5", answer: unavailable, asked: 1},
		{name: "rate limited", bearer: "limited", status: 503, retryAfter: "2", answer: unavailable, asked: 1},
		{name: "revocation list fails", config: brokenRevocations, bearer: "good", status: 503, retryAfter: "5", answer: unavailable, asked: 1},
		{name: "introspector panics", bearer: "panic", status: 500, answer: serverError, asked: 1},
		{name: "introspector returns neither a token nor an error", bearer: "nothing", status: 500, answer: serverError, asked: 1},
	}
}

// brokenList fails with an error that would be a refusal if an introspector returned it.
type brokenList struct{}

func (brokenList) Revoked(context.Context, *oauthz.Token) (bool, error) {
	return false, errors.Join(errors.New("list: secret-host"), oauthz.ErrInvalidToken)
}

func nested() []outcome {
	read, write := oauthz.Require("orders:read"), oauthz.Require("orders:write")
	anonymous := read.OrAnonymous()
	return []outcome{
		{name: "anonymous", requirements: []oauthz.Requirement{anonymous}, status: 200, answer: "orders", ran: true},
		{name: "anonymous with a token", requirements: []oauthz.Requirement{anonymous}, bearer: "good", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "anonymous with a bad token", requirements: []oauthz.Requirement{anonymous}, bearer: "junk", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
		{name: "anonymous with a malformed token", requirements: []oauthz.Requirement{anonymous}, bearer: "a b", status: 400, challenge: badRequestChallenge, answer: badRequest},
		{name: "public", requirements: []oauthz.Requirement{oauthz.Public()}, bearer: "junk", status: 200, answer: "orders", ran: true},
		{name: "group and route", requirements: []oauthz.Requirement{oauthz.Require(), read}, bearer: "good", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "group and route that lacks a scope", requirements: []oauthz.Requirement{read, write}, bearer: "good", status: 403, challenge: fmt.Sprintf(noScopeChallenge, "orders:write"), answer: noScope, asked: 1},
		{name: "group without a token", requirements: []oauthz.Requirement{oauthz.Require(), read}, status: 401, challenge: `Bearer realm="api"`, answer: "{}"},
		{name: "anonymous group, protected route", requirements: []oauthz.Requirement{anonymous, read}, status: 401, challenge: `Bearer realm="api", scope="orders:read"`, answer: "{}"},
		{name: "anonymous group, protected route, token", requirements: []oauthz.Requirement{anonymous, read}, bearer: "good", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "public group, protected route", requirements: []oauthz.Requirement{oauthz.Public(), read}, status: 401, challenge: `Bearer realm="api", scope="orders:read"`, answer: "{}"},
		{name: "three deep", requirements: []oauthz.Requirement{oauthz.Public(), oauthz.Require(), oauthz.Require("profile"), read}, bearer: "good", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "three deep, the second refuses", requirements: []oauthz.Requirement{oauthz.Require(), write, read}, bearer: "good", status: 403, challenge: fmt.Sprintf(noScopeChallenge, "orders:write"), answer: noScope, asked: 1},
		{name: "four deep, the third refuses", requirements: []oauthz.Requirement{oauthz.Public(), oauthz.Require(), write, read}, bearer: "good", status: 403, challenge: fmt.Sprintf(noScopeChallenge, "orders:write"), answer: noScope, asked: 1},
	}
}

// handlers are refusals whose ErrorHandler writes no status.
func handlers() []outcome {
	return []outcome{
		{name: "error handler that flushes first", config: handled(flushes), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that flushes hints first", config: handled(flushesHints), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that only flushes", config: handled(onlyFlushes), bearer: "fault", status: 503, retryAfter: "5", answer: unavailable, asked: 1},
		{name: "error handler that flushes the unwrapped writer", config: handled(flushesUnwrapped), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that flushes, then panics", config: handled(flushesAndPanics), bearer: "junk", status: 401, challenge: badTokenChallenge, asked: 1},
		{name: "error handler that hijacks", config: handled(hijacks), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
		{name: "error handler that copies", config: handled(copies), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that reads from", config: handled(readsFrom), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that writes strings", config: handled(writesString), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that sets deadlines", config: handled(setsDeadlines), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
	}
}

// configured are rows for the fields of a Config.
func configured() []outcome {
	metadata := func(cfg *oauthz.Config) {
		cfg.Realm = `my "api"`
		cfg.ResourceMetadataURL = "https://api.example/.well-known/oauth-protected-resource"
	}
	preflight := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"GET"}}
	allowPreflight := func(cfg *oauthz.Config) { cfg.AllowPreflight = true }
	confirmed := func(cfg *oauthz.Config) { cfg.Confirmers = []oauthz.Confirmer{certificate{}} }
	observed := func(cfg *oauthz.Config) { cfg.Observe = func(context.Context, oauthz.Decision) { panic("secret") } }
	return []outcome{
		{
			name: "realm and metadata", config: metadata, status: 401, answer: "{}",
			challenge: `Bearer realm="my \"api\"", scope="orders:read", resource_metadata="https://api.example/.well-known/oauth-protected-resource"`,
		},
		{name: "error handler", config: handled(writesAll), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that sends hints first", config: handled(writesHints), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: "own invalid_token", asked: 1},
		{name: "error handler that writes nothing", config: handled(writesNothing), bearer: "junk", status: 401, challenge: badTokenChallenge, answer: badToken, asked: 1},
		{name: "error handler panics", config: handled(panics), bearer: "junk", status: 500, answer: serverError, asked: 1},
		{name: "error handler panics after the status", config: handled(writesAndPanics), bearer: "junk", status: 401, challenge: badTokenChallenge, asked: 1},
		{name: "preflight allowed", config: allowPreflight, method: "OPTIONS", header: preflight, status: 200, answer: "orders", ran: true},
		{
			name: "OPTIONS that is not a preflight", config: allowPreflight, method: "OPTIONS",
			status: 401, challenge: `Bearer realm="api", scope="orders:read"`, answer: "{}",
		},
		{name: "bound and confirmed", config: confirmed, bearer: "bound", status: 200, answer: "orders", ran: true, subject: "user-1", asked: 1},
		{name: "observer panics", config: observed, bearer: "good", status: 500, answer: serverError, asked: 1},
	}
}

// certificate confirms every certificate.
type certificate struct{}

func (certificate) Method() string { return "x5t#S256" }

func (certificate) Confirm(*http.Request, string, string, *oauthz.Token) error { return nil }
