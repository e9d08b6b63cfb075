package peers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// verifier is the usual hand-written code over golang-jwt and keyfunc: all the checks that must be configured, and claims of a
// chosen type. All requests share one parser, which is allowed. keyfunc fetches and refreshes the key set, as in its README.
func verifier(ctx context.Context, is Issuer) (func(raw string, into jwt.Claims) error, error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{is.JWKSURL})
	if err != nil {
		return nil, fmt.Errorf("keyfunc: %w", err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{is.Algorithm}), jwt.WithIssuer(is.URL),
		jwt.WithAudience(is.Audience), jwt.WithExpirationRequired(),
	)
	return func(raw string, into jwt.Claims) error {
		_, err := parser.ParseWithClaims(raw, into, keys.Keyfunc)
		return err
	}, nil
}

type claimsKey struct{}

// protectByHand uses MapClaims, as the first examples of golang-jwt and most programs do.
func protectByHand(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	verify, err := verifier(ctx, is)
	if err != nil {
		return nil, err
	}
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := r.Context().Value(claimsKey{}).(jwt.MapClaims)
		subject, _ := claims["sub"].(string)
		next(w, r, subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, found := bearer(r)
		if !found {
			unauthorized(w)
			return
		}
		claims := jwt.MapClaims{}
		if verify(raw, claims) != nil {
			unauthorized(w)
			return
		}
		if scope, _ := claims["scope"].(string); !allows(scope, is.Scope) {
			forbidden(w)
			return
		}
		route.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
	}), nil
}

// accessClaims is a claims type of the program, as later examples of golang-jwt have it. It is faster than a map, and accepts
// a claim whose name differs in case as the real one.
type accessClaims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
}

type accessKey struct{}

func protectByHandStruct(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	verify, err := verifier(ctx, is)
	if err != nil {
		return nil, err
	}
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := r.Context().Value(accessKey{}).(*accessClaims)
		next(w, r, claims.Subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, found := bearer(r)
		if !found {
			unauthorized(w)
			return
		}
		claims := &accessClaims{}
		if verify(raw, claims) != nil {
			unauthorized(w)
			return
		}
		if !allows(claims.Scope, is.Scope) {
			forbidden(w)
			return
		}
		route.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), accessKey{}, claims)))
	}), nil
}

// protectEchoJWT gives echo-jwt its own parser (ParseTokenFunc): with the default one it would check neither issuer nor
// audience. The time includes the router of echo, because echo-jwt cannot be used without it.
func protectEchoJWT(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	verify, err := verifier(ctx, is)
	if err != nil {
		return nil, err
	}
	authenticate, err := echojwt.Config{
		ParseTokenFunc: func(_ echo.Context, raw string) (any, error) {
			claims := jwt.MapClaims{}
			return claims, verify(raw, claims)
		},
	}.ToMiddleware()
	if err != nil {
		return nil, fmt.Errorf("echo-jwt: %w", err)
	}
	e := echo.New()
	e.GET("/orders", func(c echo.Context) error {
		claims, _ := c.Get("user").(jwt.MapClaims)
		if scope, _ := claims["scope"].(string); !allows(scope, is.Scope) {
			return echo.ErrForbidden
		}
		subject, _ := claims["sub"].(string)
		next(c.Response(), c.Request(), subject)
		return nil
	}, authenticate)
	return e, nil
}

// protectMCP has the verifier that RequireBearerToken requires. RequireBearerToken checks the scopes.
func protectMCP(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	verify, err := verifier(ctx, is)
	if err != nil {
		return nil, err
	}
	return requireBearerToken(is, next, func(_ context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		claims := jwt.MapClaims{}
		if err := verify(raw, claims); err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		// The parser has checked that there is an exp.
		expiry, err := claims.GetExpirationTime()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		subject, _ := claims["sub"].(string)
		scope, _ := claims["scope"].(string)
		return tokenInfo(subject, scope, expiry.Time), nil
	}), nil
}
