package localjwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// Introspect verifies token. It returns ErrUnrecognized only for a string that
// is not a compact JWS; a JWS of another issuer is refused, so that it is
// passed on to no other server.
func (i *Introspector) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	jws, err := jose.Parse(token, i.limits)
	if err != nil {
		return nil, refusal(err)
	}
	return i.introspect(ctx, &jws)
}

// Ready returns nil if there are keys to verify with: for a readiness probe.
func (i *Introspector) Ready() error {
	if err := i.keys.Ready(); err != nil {
		return fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err)
	}
	return nil
}

func (i *Introspector) introspect(ctx context.Context, jws *jose.JWS) (*oauthz.Token, error) {
	if !slices.Contains(i.algorithms, jws.Algorithm) {
		return nil, refusal(jose.ErrAlgorithm)
	}
	if err := i.checkType(jws.Type); err != nil {
		return nil, err
	}
	validity, err := i.keys.Verify(ctx, jws)
	if errors.Is(err, jose.ErrKey) && i.mayBeAccepted(jws) {
		return nil, forNow{refusal(err)}
	}
	if err != nil {
		return nil, refusal(err)
	}
	payload, err := jws.Payload()
	if err != nil {
		return nil, refusal(err)
	}
	t, err := oauthz.ParseToken(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", oauthz.ErrInvalidToken, err)
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
	return t.WithValidity(until, validity.Live), nil
}

// refusal says what an error of jose means to a Guard.
func refusal(err error) error {
	var fault *jose.Unavailable
	switch {
	case errors.As(err, &fault):
		return &oauthz.Error{
			Status: 503, Code: "temporarily_unavailable", RetryAfter: fault.RetryAfter,
			Err: fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err),
		}
	case errors.Is(err, jose.ErrNotJWS):
		return fmt.Errorf("%w: %w", oauthz.ErrUnrecognized, err)
	default:
		return fmt.Errorf("%w: %w", oauthz.ErrInvalidToken, err)
	}
}

// forNow is a refusal that may not last (see [oauthz.Introspector]): the key may
// be published the next moment, or the token become valid.
type forNow struct{ error }

func (forNow) Temporary() bool { return true }

func (e forNow) Unwrap() error { return e.error }

// mayBeAccepted reports whether a token whose key is not known could be accepted
// once the key is published, going by the claims that it makes for itself.
func (i *Introspector) mayBeAccepted(jws *jose.JWS) bool {
	payload, err := jws.Payload()
	if err != nil {
		return false
	}
	t, err := oauthz.ParseToken(payload)
	if err != nil {
		return false
	}
	err = i.check(t, jws.Type)
	var later forNow
	return err == nil || errors.As(err, &later)
}

func refuse(reason string) error {
	return fmt.Errorf("%w: %s", oauthz.ErrInvalidToken, reason)
}

const (
	typeATJWT = "at+jwt" // RFC 9068 §2.1
	typeJWT   = "jwt"
)

// checkType keeps out the other kinds of JWT that say so (RFC 8725 §3.11).
func (i *Introspector) checkType(typ string) error {
	switch {
	case typ == typeATJWT, !i.requireATJWT && (typ == "" || typ == typeJWT):
		return nil
	default:
		return refuse("typ is not that of an access token")
	}
}

// check checks the claims of a token whose signature has been verified (RFC
// 7519 §4.1, RFC 9068 §4).
func (i *Introspector) check(t *oauthz.Token, typ string) error {
	now := i.now()
	switch {
	case t.Issuer != i.issuer:
		return refuse("iss is another issuer")
	case !slices.ContainsFunc(t.Audience, i.isAudience):
		return refuse("aud does not name this API")
	case t.ExpiresAt.IsZero():
		return refuse("no exp")
	case !now.Before(t.ExpiresAt.Add(i.leeway)):
		return oauthz.ErrExpired
	case now.Add(i.leeway).Before(t.NotBefore):
		return forNow{refuse("nbf is in the future")}
	case t.IssuedAt.After(now.Add(oauthz.MaxLeeway)): // it would escape every Revocation.IssuedUntil
		return forNow{refuse("iat is in the future")}
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

// checkKind finds the marks of other kinds of JWT in one whose typ says
// nothing: an ID token, a logout token or other security event, an
// introspection response, a refresh token.
func checkKind(t *oauthz.Token) error {
	for _, mark := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection"} {
		if _, ok := t.Claim(mark); ok {
			return refuse("has the marks of another kind of JWT")
		}
	}
	// The claims by which Keycloak, Cognito and others tell their tokens apart.
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
				return refuse("says that it is another kind of token")
			}
		}
	}
	return nil
}

// checkRFC9068 demands the claims of RFC 9068 §2.2; iss, exp and aud have been
// seen.
func checkRFC9068(t *oauthz.Token) error {
	if t.Subject == "" || t.ClientID == "" || t.ID == "" || t.IssuedAt.IsZero() {
		return refuse("lacks a claim that RFC 9068 §2.2 requires")
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
		return refuse("the tenant claim is not a string")
	}
	t.Tenant = tenant
	return nil
}

// ByIssuer routes each token to the Introspector of the issuer that it names,
// which verifies it with that issuer's keys alone. A JWS of any other issuer is
// refused. The introspectors share a bound on how many of them refresh their
// keys at once. The result has a method Ready() error, which returns nil if at
// least one of them is ready: an issuer that is down must not take the requests
// of the others away.
func ByIssuer(introspectors ...*Introspector) (oauthz.Introspector, error) {
	if len(introspectors) == 0 {
		return nil, errors.New("localjwt: ByIssuer: no introspector")
	}
	var errs []error
	routes := byIssuer{issuers: map[string]*Introspector{}}
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

// maxRefreshes is how many issuers' keys are refreshed at once.
const maxRefreshes = 64

type byIssuer struct {
	issuers map[string]*Introspector
	limits  jose.Limits // the widest of them; each applies its own again
}

func (b byIssuer) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	jws, err := jose.Parse(token, b.limits)
	if err != nil {
		return nil, refusal(err)
	}
	i := b.issuers[jws.UnverifiedIssuer()]
	if i == nil {
		return nil, refuse("no introspector for its issuer")
	}
	return i.Introspect(ctx, token)
}

func (b byIssuer) Ready() error {
	var errs []error
	for _, i := range b.issuers {
		err := i.Ready()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
