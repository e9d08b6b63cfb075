package localjwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/jose"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// Introspector verifies the JWTs of one issuer. It is an [oauthz.Introspector],
// and safe for concurrent use.
type Introspector struct {
	issuer       string
	audience     []string
	algorithms   []string
	requireATJWT bool
	tenantClaim  string
	leeway       time.Duration
	limits       jose.Limits
	now          func() time.Time
	keys         *jose.Set
}

// Introspect verifies token and returns its claims. It returns
// [oauthz.ErrUnrecognized] only for a string that is not a compact JWS (RFC 7515
// §3.1). It refuses a JWS of another issuer with [oauthz.ErrInvalidToken], so that
// the token is not sent to another server.
func (i *Introspector) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	jws, err := jose.Parse(token, i.limits)
	if err != nil {
		return nil, parseError(err)
	}
	return i.introspect(ctx, &jws)
}

// Ready returns nil if there are keys to verify with, and else an error that wraps
// [oauthz.ErrUnavailable]. It is for a readiness probe.
func (i *Introspector) Ready() error {
	if err := i.keysReady(); err != nil {
		return fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err)
	}
	return nil
}

// keysReady returns nil if there are keys to verify with, and else an error that
// names the issuer.
func (i *Introspector) keysReady() error {
	if err := i.keys.Ready(); err != nil {
		return fmt.Errorf("issuer %q: %w", i.issuer, err)
	}
	return nil
}

func (i *Introspector) introspect(ctx context.Context, jws *jose.JWS) (*oauthz.Token, error) {
	if !slices.Contains(i.algorithms, jws.Algorithm) {
		return nil, invalid(jose.ErrAlgorithm)
	}
	if err := i.checkType(jws.Type); err != nil {
		return nil, err
	}
	validity, err := i.keys.Verify(ctx, jws)
	if err != nil {
		return nil, i.verifyError(jws, err)
	}
	t, err := parseClaims(jws)
	if err != nil {
		return nil, err
	}
	if err := i.check(t, jws.Type); err != nil {
		return nil, err
	}
	if err := i.setTenant(t); err != nil {
		return nil, err
	}
	until := t.ExpiresAt.Add(i.leeway)
	if !validity.Until.IsZero() && validity.Until.Before(until) {
		until = validity.Until
	}
	t.SetVerdict(oauthz.Verdict{Until: until, Live: validity.Live})
	return t, nil
}

// parseClaims returns the claims of the payload. They are verified only if the
// signature of jws is.
func parseClaims(jws *jose.JWS) (*oauthz.Token, error) {
	payload, err := jws.Payload()
	if err != nil {
		return nil, invalid(err)
	}
	t, err := oauthz.ParseToken(payload)
	if err != nil {
		// ErrInvalidToken has the prefix of ParseToken's errors already.
		return nil, invalidToken(strings.TrimPrefix(err.Error(), "oauthz: "))
	}
	return t, nil
}

// parseError returns the error of Introspect for an error of [jose.Parse].
func parseError(err error) error {
	if errors.Is(err, jose.ErrNotJWS) {
		return fmt.Errorf("%w: %w", oauthz.ErrUnrecognized, err)
	}
	return invalid(err)
}

// verifyError returns the error of Introspect for an error of [jose.Set.Verify]. A
// refusal for an unknown key is temporary if only the key is missing.
func (i *Introspector) verifyError(jws *jose.JWS, err error) error {
	var fault *jose.Unavailable
	switch {
	case errors.As(err, &fault):
		return oauthz.Unavailable(fault.RetryAfter, fmt.Errorf("issuer %q: %w", i.issuer, err))
	case errors.Is(err, jose.ErrKey) && i.mayBeAccepted(jws):
		return temporaryRefusal{invalid(err)}
	default:
		return invalid(err)
	}
}

// temporaryRefusal is a refusal that may end soon (see [oauthz.Introspector]): the
// issuer may publish the key, or the token may become valid.
type temporaryRefusal struct{ error }

func (temporaryRefusal) Temporary() bool { return true }

func (e temporaryRefusal) Unwrap() error { return e.error }

// mayBeAccepted reports whether the unverified claims of a token whose key is not
// known would be accepted, now or later, once the key is published.
func (i *Introspector) mayBeAccepted(jws *jose.JWS) bool {
	t, err := parseClaims(jws)
	if err != nil {
		return false
	}
	err = i.check(t, jws.Type)
	var temporary temporaryRefusal
	return err == nil || errors.As(err, &temporary)
}

func invalid(err error) error { return fmt.Errorf("%w: %w", oauthz.ErrInvalidToken, err) }

func invalidToken(reason string) error { return invalid(errors.New(reason)) }

const (
	typeATJWT = "at+jwt" // RFC 9068 §2.1
	typeJWT   = "jwt"
)

// checkType refuses the kinds of JWT whose typ names another kind (RFC 8725 §3.11).
func (i *Introspector) checkType(typ string) error {
	switch {
	case typ == typeATJWT, !i.requireATJWT && (typ == "" || typ == typeJWT):
		return nil
	default:
		return invalidToken("typ is not that of an access token")
	}
}

// check checks the claims of a token whose signature has been verified (RFC
// 7519 §4.1, RFC 9068 §4).
func (i *Introspector) check(t *oauthz.Token, typ string) error {
	now := i.now()
	switch {
	case t.Issuer != i.issuer:
		return invalidToken("iss is another issuer")
	case !slices.ContainsFunc(t.Audience, i.isAudience):
		return invalidToken("aud does not name this API")
	case t.ExpiresAt.IsZero():
		return invalidToken("no exp")
	case !now.Before(t.ExpiresAt.Add(i.leeway)):
		return oauthz.ErrExpired
	case now.Add(i.leeway).Before(t.NotBefore):
		return temporaryRefusal{invalidToken("nbf is in the future")}
	case t.IssuedAt.After(now.Add(oauthz.MaxLeeway)): // it would escape every Revocation.IssuedUntil
		return temporaryRefusal{invalidToken("iat is in the future")}
	}
	if typ != typeATJWT {
		return checkKind(t)
	}
	if i.requireATJWT {
		return checkRFC9068(t)
	}
	return nil
}

func (i *Introspector) isAudience(aud string) bool { return slices.Contains(i.audience, aud) }

// checkKind checks a token whose typ does not name its kind. It refuses a token that
// has the marks of another kind of JWT: an ID token, a logout token or other
// security event, an introspection response, a refresh token.
func checkKind(t *oauthz.Token) error {
	for _, mark := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection"} {
		if _, ok := t.Claim(mark); ok {
			return invalidToken("has the marks of another kind of JWT")
		}
	}
	// The claims in which Keycloak, Cognito and others name the kind of a token.
	for _, kind := range []struct {
		claim  string
		access []string
	}{
		{"typ", []string{"Bearer", "DPoP", "at+jwt", "JWT"}},
		{"token_use", []string{"access", "access_token"}},
		{"token_type", []string{"Bearer", "bearer", "DPoP", "access", "access_token"}},
	} {
		if value, ok := t.Claim(kind.claim); ok {
			if s, err := strictjson.String(string(value)); err != nil || !slices.Contains(kind.access, s) {
				return invalidToken("a claim names another kind of token")
			}
		}
	}
	return nil
}

// checkRFC9068 requires the claims of RFC 9068 §2.2. check has already required iss,
// exp and aud.
func checkRFC9068(t *oauthz.Token) error {
	if t.Subject == "" || t.ClientID == "" || t.ID == "" || t.IssuedAt.IsZero() {
		return invalidToken("a claim that RFC 9068 §2.2 requires is missing")
	}
	return nil
}

func (i *Introspector) setTenant(t *oauthz.Token) error {
	if i.tenantClaim == "" {
		return nil
	}
	value, ok := t.Claim(i.tenantClaim)
	if !ok {
		return nil
	}
	tenant, err := strictjson.String(string(value))
	if err != nil {
		return invalidToken("the tenant claim is not a string")
	}
	t.Tenant = tenant
	return nil
}

// ByIssuer returns an Introspector that passes each token to the introspector of the
// issuer in the iss claim, which verifies the token with the keys of that issuer
// only. It refuses a JWS of any other issuer with [oauthz.ErrInvalidToken]. The
// introspectors share a bound on how many of them refresh their keys at once. The
// result has a method Ready() error, which returns nil if at least one of the
// introspectors is ready: while one issuer is down, the service must still receive
// requests with tokens of the others. The result is safe for concurrent use.
func ByIssuer(introspectors ...*Introspector) (oauthz.Introspector, error) {
	if len(introspectors) == 0 {
		return nil, errors.New("localjwt: ByIssuer: no introspector")
	}
	var errs []error
	routes := byIssuer{issuers: map[string]*Introspector{}, all: slices.Clone(introspectors)}
	for n, i := range introspectors {
		switch {
		case i == nil:
			errs = append(errs, fmt.Errorf("localjwt: ByIssuer: introspector %d is nil", n))
			continue
		case routes.issuers[i.issuer] != nil:
			errs = append(errs, fmt.Errorf("localjwt: ByIssuer: two introspectors for issuer %q", i.issuer))
		}
		routes.issuers[i.issuer] = i
		routes.limits.Token = max(routes.limits.Token, i.limits.Token)
		routes.limits.Header = max(routes.limits.Header, i.limits.Header)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	gate := make(jose.Gate, maxRefreshes)
	for _, i := range introspectors {
		i.keys.Share(gate)
	}
	return routes, nil
}

// maxRefreshes bounds how many introspectors of one ByIssuer refresh their keys at
// once.
const maxRefreshes = 64

type byIssuer struct {
	issuers map[string]*Introspector
	all     []*Introspector // in the order given
	limits  jose.Limits     // the widest of all; each introspector applies its own again
}

func (b byIssuer) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	jws, err := jose.Parse(token, b.limits)
	if err != nil {
		return nil, parseError(err)
	}
	i := b.issuers[jws.UnverifiedIssuer()]
	if i == nil {
		return nil, invalidToken("no introspector for its issuer")
	}
	return i.Introspect(ctx, token)
}

func (b byIssuer) Ready() error {
	var errs oneLine
	for _, i := range b.all {
		err := i.keysReady()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("%w: %w", oauthz.ErrUnavailable, errs)
}

// oneLine joins errors like errors.Join, but without line breaks in the text.
type oneLine []error

func (errs oneLine) Error() string {
	texts := make([]string, len(errs))
	for n, err := range errs {
		texts[n] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (errs oneLine) Unwrap() []error { return errs }
