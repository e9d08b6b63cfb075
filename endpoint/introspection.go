package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/oauthz/oauthz"
)

// IntrospectionConfig is what [Introspection] is made of. Introspector and Auth
// are required; the rest may be zero.
type IntrospectionConfig struct {
	_ struct{}

	// Introspector judges the tokens that are asked about. Required.
	Introspector oauthz.Introspector
	// Revocations are asked about every token, after the introspector and
	// whatever a cache remembers. A list that cannot tell, or not within a second
	// (see [oauthz.CheckRevoked]), is a 503. Default: none.
	RevocationLists []oauthz.RevocationList
	// Auth authenticates whoever asks. Required.
	Auth ClientAuthenticator
	// Entitled says what the client may see of t, which is active: members holds
	// what it will be told (RFC 7662 §2.2), each value JSON-encodable, and may be
	// changed, to leave out what is none of its concern (§5) or to narrow scope.
	// False is answered like a token that there is not (§2.2, §4). An error means
	// that it cannot tell: 503. Both t and members are the hook's own; active,
	// token_type and the cnf of a bound token are not for it to change. It must be
	// safe for concurrent use.
	//
	// Default: every authenticated client sees everything of every token.
	Entitled func(ctx context.Context, clientID string, t *oauthz.Token, members map[string]any) (bool, error)
	// Signing makes signed answers for the clients that ask for them (RFC 9701).
	// Default: nil, all answers are plain JSON.
	Signing *Signing
	// Report is told of every request that is refused or fails, with the cause,
	// before it is answered: for logs and metrics. It must be safe for concurrent
	// use. Default: faults are logged with log/slog.
	Report func(context.Context, error)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Format writes the name of the type: package fmt would print what the hooks
// hold, and the key of Signing.
func (IntrospectionConfig) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "endpoint.IntrospectionConfig")
}

func (cfg *IntrospectionConfig) check() error {
	m := mistakes{in: "introspection"}
	m.require("Introspector", cfg.Introspector)
	for i, l := range cfg.RevocationLists {
		if isNil(l) {
			m.add("RevocationLists[%d] is nil", i)
		}
	}
	m.requireAuth(cfg.Auth)
	if cfg.Signing != nil {
		cfg.Signing.check(&m)
	}
	return m.join()
}

// Introspection makes the endpoint of RFC 7662, or says everything that is wrong
// with cfg: a form posted by an authenticated client is answered with what the
// token says, or with {"active":false} and nothing else (§2.2).
//
// A token is active if the introspector takes it, no list holds it, it is not
// over, and it is not a refresh token. To whom it is bound (cnf) is told, and is
// for the client to confirm (RFC 8705 §3.2, RFC 9449 §6.2).
func Introspection(cfg IntrospectionConfig) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	judge, err := newTokenValidator(cfg.Introspector, cfg.RevocationLists, cfg.Now)
	if err != nil {
		return nil, err
	}
	i := &introspectionHandler{validator: judge, auth: cfg.Auth, entitled: cfg.Entitled}
	if cfg.Signing != nil {
		if i.sign, err = cfg.Signing.signer(); err != nil {
			return nil, err
		}
	}
	h := &handler{methods: []string{http.MethodPost}, decide: i.decide, report: reportOrLog(cfg.Report)}
	return http.HandlerFunc(h.serve), nil // a function: package fmt prints nothing of what it holds
}

type introspectionHandler struct {
	validator tokenValidator
	auth      ClientAuthenticator
	entitled  func(ctx context.Context, clientID string, t *oauthz.Token, members map[string]any) (bool, error)
	sign      signer // nil: no signed answers
}

func (i *introspectionHandler) decide(w http.ResponseWriter, r *http.Request) (reply, error) {
	q, err := readTokenRequest(i.auth, w, r)
	if err != nil {
		return reply{}, err
	}
	members, err := i.answer(r.Context(), q)
	if err != nil {
		return reply{}, err
	}
	if i.sign != nil && prefersSigned(r.Header) {
		return i.sign(q.client.id, members, i.validator.now())
	}
	return jsonReply(members)
}

// members are those of RFC 7662 §2.2.
func (i *introspectionHandler) answer(ctx context.Context, q tokenRequest) (map[string]any, error) {
	inactive := map[string]any{"active": false}
	t, err := i.validator.active(ctx, q.token)
	if err != nil {
		return nil, err
	}
	latest := i.validator.now().Add(oauthz.MaxLeeway)
	if t == nil || isRefreshToken(t) || t.NotBefore.After(latest) || t.IssuedAt.After(latest) {
		return inactive, nil
	}
	members, err := claimMembers(t)
	if err != nil {
		return nil, serverError(err)
	}
	fixed := fixedMembers(t)
	for name, value := range fixed {
		members[name] = value
	}
	if i.entitled == nil {
		return members, nil
	}
	entitled, err := i.entitled(ctx, q.client.id, t.Clone(), members)
	if err != nil {
		return nil, unavailable(err)
	}
	if !entitled {
		return inactive, nil
	}
	for name, value := range fixed {
		members[name] = value
	}
	return members, nil
}

// claimsOf are all claims of t: the standard ones as its fields have them, the
// rest as they came.
func claimMembers(t *oauthz.Token) (map[string]any, error) {
	claims, err := oauthz.ClaimsAs[map[string]json.RawMessage](t)
	members := make(map[string]any, len(claims)+2)
	for name, value := range claims {
		members[name] = value
	}
	return members, err
}

// fixedMembers are those that no claim and no hook may say otherwise: a resource
// server that is not told of cnf would take a bound token from anybody.
func fixedMembers(t *oauthz.Token) map[string]any {
	fixed := map[string]any{"active": true, "token_type": "Bearer"}
	if t.Confirmation == nil {
		return fixed
	}
	if cnf, ok := t.Claim("cnf"); ok {
		fixed["cnf"] = cnf
	}
	if t.Confirmation.JWKThumbprint != "" {
		fixed["token_type"] = "DPoP" // RFC 9449 §6.2; one bound to a certificate alone is a Bearer token
	}
	return fixed
}
