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

// IntrospectionConfig configures [Introspection]. Introspector and Auth are
// required; every other field may be zero.
type IntrospectionConfig struct {
	_ struct{}

	// Introspector validates the tokens that clients send. Required.
	Introspector oauthz.Introspector
	// RevocationLists are checked for every token, after Introspector, so that a
	// token that a cache remembers is checked too. If a list returns an error, or
	// does not answer within a second (see [oauthz.CheckRevoked]), the answer is
	// 503. Default: none.
	RevocationLists []oauthz.RevocationList
	// Auth authenticates the client. Required.
	Auth ClientAuthenticator
	// Entitled reports whether the client may see t, which is active. members
	// holds the members of the answer (RFC 7662 §2.2). Entitled may change it, to
	// remove members that the client does not need (§5) or to narrow scope; each
	// value must be encodable as JSON. Entitled owns t and members: they are
	// copies. It cannot change active, token_type, or the cnf of a bound token.
	//
	// False is answered as if the token did not exist (§2.2, §4). An error is a
	// fault: 503. Entitled must be safe for concurrent use.
	//
	// Default: every authenticated client sees every member of every token.
	Entitled func(ctx context.Context, clientID string, t *oauthz.Token, members map[string]any) (bool, error)
	// Signing signs the answers for clients that request signed ones (RFC 9701).
	// Default: nil, every answer is plain JSON.
	Signing *Signing
	// Report is called once for every request that is refused or fails, with the
	// cause, before the answer is written. Use it for logs and metrics. It must be
	// safe for concurrent use. Default: faults are logged with log/slog.
	Report func(context.Context, error)
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Format writes the name of the type. Without it, package fmt would print the
// secrets that the hooks hold and the key of Signing.
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

// Introspection returns the introspection endpoint of RFC 7662, or an error that
// joins every mistake in cfg. An authenticated client posts a token as a form; the
// answer holds the claims of the token, or only {"active":false} (§2.2).
//
// A token is active if Introspector accepts it, no revocation list contains it, it
// has not expired, and it is not a refresh token. If the token is bound to a key,
// the answer has cnf. The client must then check the proof of possession (RFC 8705
// §3.2, RFC 9449 §6.2).
func Introspection(cfg IntrospectionConfig) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	validator, err := newTokenValidator(cfg.Introspector, cfg.RevocationLists, cfg.Now)
	if err != nil {
		return nil, err
	}
	i := &introspectionHandler{validator: validator, auth: cfg.Auth, entitled: cfg.Entitled}
	if cfg.Signing != nil {
		if i.sign, err = cfg.Signing.signer(); err != nil {
			return nil, err
		}
	}
	h := &handler{methods: []string{http.MethodPost}, decide: i.decide, report: reportOrLog(cfg.Report)}
	return http.HandlerFunc(h.serve), nil // a function, so that package fmt cannot print the fields of h
}

type introspectionHandler struct {
	validator tokenValidator
	auth      ClientAuthenticator
	entitled  func(ctx context.Context, clientID string, t *oauthz.Token, members map[string]any) (bool, error)
	sign      signer // nil: answers are not signed
}

func (i *introspectionHandler) decide(w http.ResponseWriter, r *http.Request) (reply, error) {
	req, err := readTokenRequest(i.auth, w, r)
	if err != nil {
		return reply{}, err
	}
	members, err := i.answer(r.Context(), req)
	if err != nil {
		return reply{}, err
	}
	if i.sign != nil && prefersSigned(r.Header) {
		return i.sign(req.client.id, members, i.validator.now())
	}
	return jsonReply(members)
}

// answer returns the members of the answer (RFC 7662 §2.2).
func (i *introspectionHandler) answer(ctx context.Context, req tokenRequest) (map[string]any, error) {
	inactive := map[string]any{"active": false}
	t, err := i.validator.active(ctx, req.token)
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
	entitled, err := i.entitled(ctx, req.client.id, t.Clone(), members)
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

// claimMembers returns all claims of t: the standard claims from its fields, the
// others unchanged.
func claimMembers(t *oauthz.Token) (map[string]any, error) {
	claims, err := oauthz.ClaimsAs[map[string]json.RawMessage](t)
	members := make(map[string]any, len(claims)+2)
	for name, value := range claims {
		members[name] = value
	}
	return members, err
}

// fixedMembers returns the members that neither a claim nor a hook may change. A
// resource server that does not receive cnf would accept a bound token without a
// proof of possession.
func fixedMembers(t *oauthz.Token) map[string]any {
	fixed := map[string]any{"active": true, "token_type": "Bearer"}
	if t.Confirmation == nil {
		return fixed
	}
	if cnf, ok := t.Claim("cnf"); ok {
		fixed["cnf"] = cnf
	}
	if t.Confirmation.JWKThumbprint != "" {
		fixed["token_type"] = "DPoP" // RFC 9449 §6.2; a token that is bound only to a certificate is a Bearer token
	}
	return fixed
}
