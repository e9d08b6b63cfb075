package peers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-chi/jwtauth/v5"
	jwkv2 "github.com/lestrrat-go/jwx/v2/jwk"
	jwtv2 "github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// protectJWTAuth gives jwtauth the one key of the set: it cannot take a set. The Authenticator is written by the user, as its
// documentation invites to, so that the claims are copied out of the token once and not a second time for the scope.
func protectJWTAuth(_ context.Context, is Issuer, next Handler) (http.Handler, error) {
	set, err := jwkv2.Parse(is.JWKS)
	if err != nil {
		return nil, fmt.Errorf("jwtauth: %w", err)
	}
	first, ok := set.Key(0)
	if !ok {
		return nil, fmt.Errorf("jwtauth: the set has no key")
	}
	var public any
	if err := first.Raw(&public); err != nil {
		return nil, fmt.Errorf("jwtauth: %w", err)
	}
	ja := jwtauth.New(
		is.Algorithm, nil, public,
		jwtv2.WithIssuer(is.URL), jwtv2.WithAudience(is.Audience), jwtv2.WithRequiredClaim(jwtv2.ExpirationKey),
	)
	return jwtauth.Verify(ja, jwtauth.TokenFromHeader)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, claims, err := jwtauth.FromContext(r.Context())
		if err != nil || token == nil {
			unauthorized(w)
			return
		}
		if scope, _ := claims["scope"].(string); !allows(scope, is.Scope) {
			forbidden(w)
			return
		}
		next(w, r, token.Subject())
	})), nil
}

type jwxKey struct{}

// protectJWX verifies with a parsed set: its Cache, which refreshes one, is a Set as well, and adds a look-up.
func protectJWX(_ context.Context, is Issuer, next Handler) (http.Handler, error) {
	set, err := jwk.Parse(is.JWKS)
	if err != nil {
		return nil, fmt.Errorf("jwx: %w", err)
	}
	options := []jwt.ParseOption{
		jwt.WithKeySet(set), jwt.WithIssuer(is.URL), jwt.WithAudience(is.Audience), jwt.WithRequiredClaim(jwt.ExpirationKey),
	}
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := r.Context().Value(jwxKey{}).(jwt.Token)
		subject, _ := token.Subject()
		next(w, r, subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, found := bearer(r)
		if !found {
			unauthorized(w)
			return
		}
		token, err := jwt.ParseString(raw, options...)
		if err != nil {
			unauthorized(w)
			return
		}
		var scope string
		if token.Get("scope", &scope) != nil || !allows(scope, is.Scope) {
			forbidden(w)
			return
		}
		route.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), jwxKey{}, token)))
	}), nil
}
