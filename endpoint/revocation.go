package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
)

// RevocationConfig configures [Revocation]. Introspector, Revoker and Auth are
// required.
type RevocationConfig struct {
	_ struct{}

	// Introspector validates the tokens to revoke. It must accept every token that
	// an API with the same revocation list accepts, with the same audiences and at
	// least the same leeway: Revocation treats a token that Introspector refuses as
	// dead, and does not record it. Required.
	Introspector oauthz.Introspector
	// Revoker records the revocations. Required.
	Revoker oauthz.Revoker
	// Auth authenticates the client that revokes. A token belongs to the client if
	// its client_id is equal to the id of the client. If Introspector accepts tokens
	// of several issuers, no two of them may give the same id to different clients.
	// [AccessToken] does not have this limit, because it knows the issuer of the
	// client. Required.
	Auth ClientAuthenticator
	// MaxTokenLifetime is the longest time that a token may still be valid, counted
	// from its revocation, if a server introspects it. It is for servers that move
	// exp each time that the token is used. The record of such a token is kept until
	// then, or until exp if that is later. If MaxTokenLifetime is too short, the
	// token is accepted again when the record expires. Negative: the record never
	// expires, for a server without an absolute limit. Default: 0, the record is
	// kept until exp, which must not move. The record of a JWT that Introspector
	// verifies itself is kept until the exp of the JWT.
	MaxTokenLifetime time.Duration
	// Report is the same as in [IntrospectionConfig].
	Report func(context.Context, error)
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Format writes the name of the type. Without it, package fmt would print the
// secrets that the hooks hold.
func (RevocationConfig) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "endpoint.RevocationConfig")
}

func (cfg *RevocationConfig) check() error {
	m := mistakes{in: "revocation"}
	m.require("Introspector", cfg.Introspector)
	m.require("Revoker", cfg.Revoker)
	m.requireAuth(cfg.Auth)
	return m.join()
}

// reasonRevokedByClient is the Reason of the records.
const reasonRevokedByClient = "revoked by its client (RFC 7009)"

// Revocation returns the revocation endpoint of RFC 7009, or an error that joins
// every mistake in cfg. A client posts one of its own access tokens, and the Revoker
// records it. The answer is 200 if the token is recorded, or if no API will ever
// accept it (§2.2). The answer is 503 if the token may still work, so that the
// client tries again (§2.2.1). It is also 503 for a token that Introspector refuses
// only for now (see [oauthz.Introspector]): one that is not valid yet, or whose key
// is not published yet.
//
// Revocation revokes access tokens. Only the authorization server can revoke a
// refresh token: the answer is unsupported_token_type if the claims mark the token
// as a refresh token.
//
// A record names the claims of the token: iss and jti, or, without a jti, iss, sub,
// client_id and iat. The second form also matches other tokens that the same client
// got for the same user in the same second. A token that a server introspects is
// also, or only, recorded by its hash (see [oauthz.TokenHash]). All encodings of a
// JWT have the same hash.
func Revocation(cfg RevocationConfig) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	validator, err := newTokenValidator(cfg.Introspector, nil, cfg.Now)
	if err != nil {
		return nil, err
	}
	r := &revocationHandler{validator: validator, auth: cfg.Auth, revoker: cfg.Revoker, lifetime: cfg.MaxTokenLifetime}
	h := &handler{methods: []string{http.MethodPost}, decide: r.decide, report: reportOrLog(cfg.Report)}
	return http.HandlerFunc(h.serve), nil
}

type revocationHandler struct {
	validator tokenValidator
	auth      ClientAuthenticator
	revoker   oauthz.Revoker

	lifetime time.Duration // MaxTokenLifetime
}

func (v *revocationHandler) decide(w http.ResponseWriter, r *http.Request) (reply, error) {
	req, err := readTokenRequest(v.auth, w, r)
	if err != nil {
		return reply{}, err
	}
	done := reply{status: http.StatusOK} // clients ignore its body (RFC 7009 §2.2)
	t, err := v.validator.revocable(r.Context(), req.token)
	if err != nil {
		return reply{}, err
	}
	if t == nil {
		return done, nil
	}
	revs, err := v.records(t, req)
	if err != nil {
		return reply{}, err
	}
	if err := v.revoker.Revoke(r.Context(), revs...); err != nil {
		return reply{}, unavailable(err)
	}
	return done, nil
}

// records returns the revocations to record, or the reason why this endpoint does
// not revoke the token.
func (v *revocationHandler) records(t *oauthz.Token, req tokenRequest) ([]oauthz.Revocation, error) {
	if t.ClientID != req.client.id { // the id is never empty: a token without a client_id belongs to no client
		return nil, notOwner()
	}
	if req.client.issuer != "" && t.Issuer != req.client.issuer { // the client has the same id at another issuer
		return nil, notOwner()
	}
	matches := matchesFor(t, req.token)
	if t.Issuer == "" || len(matches) == 0 || isRefreshToken(t) {
		return nil, unsupportedToken()
	}
	now := v.validator.now()
	revs := make([]oauthz.Revocation, len(matches))
	for i, match := range matches {
		revs[i] = oauthz.Revocation{Match: match, Expires: v.recordExpiry(t, now), Reason: reasonRevokedByClient, At: now}
	}
	return revs, nil
}

// recordExpiry returns the time from which no API accepts t, and zero if that is
// not known. Only a server can move exp, and a token that a server introspects has
// a hash.
func (v *revocationHandler) recordExpiry(t *oauthz.Token, now time.Time) time.Time {
	_, introspected := t.Claim(oauthz.MatchTokenHash)
	switch latest := now.Add(v.lifetime); {
	case !introspected || t.ExpiresAt.IsZero():
		return t.ExpiresAt
	case v.lifetime < 0:
		return time.Time{}
	case latest.After(t.ExpiresAt):
		return latest
	default:
		return t.ExpiresAt
	}
}

// matchesFor returns the matches that name t in a list. It uses every name that
// never changes, so that no other encoding of the token is still accepted.
//
// A JWT has several encodings: for example, every ES256 signature has a second
// encoding that is also valid. The claims of a JWT are the same in all encodings, so
// they name the JWT, both if it is verified here (then it has no hash) and if a
// server introspects it. The hash of a JWT does not cover the signature, so the hash
// also names all encodings, even if the server returns neither jti nor iat. An
// opaque token has only the encoding that the server knows. The server may create a
// new jti at each introspection, so only the hash names an opaque token.
func matchesFor(t *oauthz.Token, token string) []map[string]any {
	var matches []map[string]any
	hash, hashed := t.Claim(oauthz.MatchTokenHash)
	if hashed {
		matches = append(matches, map[string]any{"iss": t.Issuer, oauthz.MatchTokenHash: unquote(hash)})
	}
	if hashed && strings.Count(token, ".") < 2 {
		return matches
	}
	if t.ID != "" {
		return append(matches, map[string]any{"iss": t.Issuer, "jti": t.ID})
	}
	iat, ok := t.Claim("iat")
	if !ok {
		return matches
	}
	match := map[string]any{"iss": t.Issuer, "client_id": t.ClientID, "iat": json.Number(iat)} // iat is exact to the last digit
	if t.Subject != "" {
		match["sub"] = t.Subject
	}
	return append(matches, match)
}

func unquote(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s) // the value comes from Token.Claim and is a string
	return s
}

// notOwner returns the failure for a token that was not issued to the client.
// RFC 7009 §2.1 requires a refusal and refers to RFC 6749 §5.2 for the error code.
// No code there is made for this case. invalid_client is wrong: the client is
// authenticated, and other credentials would not help. invalid_grant is wrong: it is
// about the grants of the token endpoint. unauthorized_client remains: this client
// is not authorized.
func notOwner() *failure {
	return &failure{
		status: http.StatusBadRequest, code: codeUnauthorizedClient, err: errors.New("the token was issued to another client"),
	}
}

// unsupportedToken returns the failure for a refresh token, and for a token that a
// list cannot name (RFC 7009 §2.2.1). It is not 200, because the token still works.
func unsupportedToken() *failure {
	return &failure{
		status: http.StatusBadRequest, code: codeUnsupportedTokenType,
		err: errors.New("the token has no iss, or neither a jti nor an iat, or is a refresh token"),
	}
}
