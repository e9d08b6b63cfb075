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

// RevocationConfig is what [Revocation] is made of. Introspector, Revoker and
// Auth are required.
type RevocationConfig struct {
	_ struct{}

	// Introspector judges the tokens that are to be revoked. It must accept every
	// token that an API with the same list accepts, with the same audiences and no
	// less leeway: a token that it refuses is taken for dead. Required.
	Introspector oauthz.Introspector
	// Revoker records the revocations. Required.
	Revoker oauthz.Revoker
	// Auth authenticates the client that revokes. A token is that client's if its
	// client_id is the id: where Introspector takes tokens of several issuers, no
	// two of them may give one id to different clients, except with [Bearer], which
	// knows the issuer. Required.
	Auth ClientAuthenticator
	// MaxTokenLifetime is how long a token that a server introspects may live from
	// now on, whatever its exp: for servers that move exp each time that the token
	// is used. The record of such a token is kept at least that long; with less than
	// the truth, the token is accepted again. Negative: the record never expires,
	// for a server without an absolute limit. Default: the record is kept until exp,
	// which must not move. A JWT that Introspector verifies is kept until its exp.
	MaxTokenLifetime time.Duration
	// Report is as in [IntrospectionConfig].
	Report func(context.Context, error)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Format writes the name of the type: package fmt would print what the hooks hold.
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

// reasonRevokedByClient is the Reason of what is recorded.
const reasonRevokedByClient = "revoked by its client (RFC 7009)"

// Revocation makes the endpoint of RFC 7009, or says everything that is wrong
// with cfg: a client posts one of its own access tokens, and it is recorded with
// the Revoker. 200 means that it is recorded, or that no API will ever accept it
// (§2.2); 503 means that it may still work, and that the client should try again
// (§2.2.1). That includes a token that the Introspector refuses only for now (see
// [oauthz.Introspector]): one that is not valid yet, or whose key is not published.
//
// It revokes access tokens. A refresh token is for the authorization server to
// revoke, and is answered with unsupported_token_type where it is known for one.
//
// What is recorded is what the token says of itself: iss and jti, or else iss,
// sub, client_id and iat, which also meets what the same client got for the same
// user in the same second. A token that a server was asked about is also, or
// instead, recorded by its hash (see [oauthz.TokenHash]), which every encoding of
// a JWT has.
func Revocation(cfg RevocationConfig) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	judge, err := newTokenValidator(cfg.Introspector, nil, cfg.Now)
	if err != nil {
		return nil, err
	}
	r := &revocationHandler{validator: judge, auth: cfg.Auth, revoker: cfg.Revoker, lifetime: cfg.MaxTokenLifetime}
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
	q, err := readTokenRequest(v.auth, w, r)
	if err != nil {
		return reply{}, err
	}
	done := reply{status: http.StatusOK} // whose body clients ignore (RFC 7009 §2.2)
	t, err := v.validator.revocable(r.Context(), q.token)
	if err != nil {
		return reply{}, err
	}
	if t == nil {
		return done, nil
	}
	revs, err := v.records(t, q)
	if err != nil {
		return reply{}, err
	}
	if err := v.revoker.Revoke(r.Context(), revs...); err != nil {
		return reply{}, unavailable(err)
	}
	return done, nil
}

// revocations are what to record, or why this token is not revoked here.
func (v *revocationHandler) records(t *oauthz.Token, q tokenRequest) ([]oauthz.Revocation, error) {
	if t.ClientID != q.client.id { // which is never empty: a token of nobody is nobody's to revoke
		return nil, notOwner()
	}
	if q.client.issuer != "" && t.Issuer != q.client.issuer { // a namesake, with another authorization server
		return nil, notOwner()
	}
	matches := matchesFor(t, q.token)
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

// expires returns the time from which no API accepts t; zero if it is not known.
// The exp of a token may move only if it comes from a server, and then the token
// has a hash.
func (v *revocationHandler) recordExpiry(t *oauthz.Token, now time.Time) time.Time {
	_, asked := t.Claim(oauthz.MatchTokenHash)
	switch latest := now.Add(v.lifetime); {
	case !asked || t.ExpiresAt.IsZero():
		return t.ExpiresAt
	case v.lifetime < 0:
		return time.Time{}
	case latest.After(t.ExpiresAt):
		return latest
	default:
		return t.ExpiresAt
	}
}

// matchesOf returns what names t in a list: every name that it has for good, so
// that no other encoding of it is left over.
//
// A JWT has other encodings: an ES256 signature, for one, has a second that
// verifies as well. A JWT is therefore named by its claims, which are the same in
// all of them, be it verified here, where it has no hash, or by the server that
// was asked. Its hash, if it has one, leaves the signature out: it names all of
// them too, also where the server answers with neither jti nor iat. An opaque token
// has the one encoding that the server knows it by, while its jti may be made
// anew at each introspection: it is named by its hash alone.
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
	match := map[string]any{"iss": t.Issuer, "client_id": t.ClientID, "iat": json.Number(iat)} // exact to the last digit
	if t.Subject != "" {
		match["sub"] = t.Subject
	}
	return append(matches, match)
}

func unquote(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s) // of Token.Claim, it is a string
	return s
}

// notYours: RFC 7009 §2.1 refuses the request of a client that the token was not
// issued to, and leaves to RFC 6749 §5.2 how it is told. No code there is meant
// for it. It is not invalid_client, for the client is who it says, and trying
// other credentials would not help; nor invalid_grant, which is of the grants of
// the token endpoint. What is left says it best: this client is not authorized.
func notOwner() *failure {
	return &failure{
		status: http.StatusBadRequest, code: codeUnauthorizedClient, err: errors.New("the token was issued to another client"),
	}
}

// unsupported: nothing that a list could know the token by, or no access token
// (RFC 7009 §2.2.1). It is not 200: the token would go on working.
func unsupportedToken() *failure {
	return &failure{
		status: http.StatusBadRequest, code: codeUnsupportedTokenType,
		err: errors.New("the token has no iss, or neither a jti nor an iat, or is a refresh token"),
	}
}
