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

// verifier is what people write over golang-jwt and keyfunc: all the checks that have to be asked for, and claims of a type
// of their choice. Its parser is shared, as it may be, instead of made for each request. The key set is fetched and
// refreshed by keyfunc, as its README has it.
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

// protectByHand has MapClaims, which the documentation of golang-jwt begins with, and most programs have.
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

// accessClaims are claims of a type of one's own, as the documentation of golang-jwt goes on. It is faster than a map, and
// takes a claim whose name differs in case for the real one.
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

// protectEchoJWT gives echo-jwt a parser of its own (ParseTokenFunc): with the default one it would check neither issuer
// nor audience. The router of echo is in the path, and so in the time: there is no using it without.
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

// protectMCP brings the verifier that RequireBearerToken asks for. The scopes are checked by RequireBearerToken.
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
		// The parser has seen to it that there is an exp.
		expiry, err := claims.GetExpirationTime()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		subject, _ := claims["sub"].(string)
		scope, _ := claims["scope"].(string)
		return tokenInfo(subject, scope, expiry.Time), nil
	}), nil
}
