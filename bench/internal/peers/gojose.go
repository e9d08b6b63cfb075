package peers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	capjwt "github.com/hashicorp/cap/jwt"
)

// scoped is a custom claim as the documentation of auth0 has it: decoded by the validator, asked by the handler.
type scoped struct {
	Scope string `json:"scope"`
}

// Validate has nothing to refuse: a missing scope is 403, and an error here would be 401.
func (*scoped) Validate(context.Context) error { return nil }

func protectAuth0(_ context.Context, is Issuer, next Handler) (http.Handler, error) {
	issuer, err := url.Parse(is.URL)
	if err != nil {
		return nil, fmt.Errorf("auth0: %w", err)
	}
	published, err := url.Parse(is.JWKSURL)
	if err != nil {
		return nil, fmt.Errorf("auth0: %w", err)
	}
	provider := jwks.NewCachingProvider(issuer, is.KeyRefresh, jwks.WithCustomJWKSURI(published))
	v, err := validator.New(
		provider.KeyFunc, validator.SignatureAlgorithm(is.Algorithm), is.URL, []string{is.Audience},
		validator.WithCustomClaims(func() validator.CustomClaims { return &scoped{} }),
	)
	if err != nil {
		return nil, fmt.Errorf("auth0: %w", err)
	}
	return jwtmiddleware.New(v.ValidateToken).CheckJWT(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := r.Context().Value(jwtmiddleware.ContextKey{}).(*validator.ValidatedClaims)
		if custom, _ := claims.CustomClaims.(*scoped); !allows(custom.Scope, is.Scope) {
			forbidden(w)
			return
		}
		next(w, r, claims.RegisteredClaims.Subject)
	})), nil
}

type idTokenKey struct{}

// protectGoOIDC takes the remote key set: it is given the parsed token by the verifier, where the static one parses it again.
func protectGoOIDC(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	verifier := oidc.NewVerifier(is.URL, oidc.NewRemoteKeySet(ctx, is.JWKSURL), &oidc.Config{
		ClientID: is.Audience, SupportedSigningAlgs: []string{is.Algorithm},
	})
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := r.Context().Value(idTokenKey{}).(*oidc.IDToken)
		next(w, r, token.Subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, found := bearer(r)
		if !found {
			unauthorized(w)
			return
		}
		token, err := verifier.Verify(r.Context(), raw)
		if err != nil {
			unauthorized(w)
			return
		}
		var claims scoped
		if token.Claims(&claims) != nil || !allows(claims.Scope, is.Scope) {
			forbidden(w)
			return
		}
		route.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), idTokenKey{}, token)))
	}), nil
}

type capKey struct{}

func protectCap(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	keys, err := capjwt.NewJSONWebKeySet(ctx, is.JWKSURL, "")
	if err != nil {
		return nil, fmt.Errorf("cap: %w", err)
	}
	v, err := capjwt.NewValidator(keys)
	if err != nil {
		return nil, fmt.Errorf("cap: %w", err)
	}
	expected := capjwt.Expected{
		Issuer: is.URL, Audiences: []string{is.Audience}, SigningAlgorithms: []capjwt.Alg{capjwt.Alg(is.Algorithm)},
	}
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := r.Context().Value(capKey{}).(map[string]any)
		subject, _ := claims["sub"].(string)
		next(w, r, subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, found := bearer(r)
		if !found {
			unauthorized(w)
			return
		}
		claims, err := v.Validate(r.Context(), raw, expected)
		if err != nil {
			unauthorized(w)
			return
		}
		if scope, _ := claims["scope"].(string); !allows(scope, is.Scope) {
			forbidden(w)
			return
		}
		route.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), capKey{}, claims)))
	}), nil
}
