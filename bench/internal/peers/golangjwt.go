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

// verifier is what people write over golang-jwt and keyfunc: MapClaims, which its documentation begins with, and all the
// checks that have to be asked for. Its parser is shared, as it may be, instead of made for each request. The key set is
// fetched and refreshed by keyfunc, as its README has it.
func verifier(ctx context.Context, is Issuer) (func(string) (jwt.MapClaims, error), error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{is.JWKSURL})
	if err != nil {
		return nil, fmt.Errorf("keyfunc: %w", err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{is.Algorithm}), jwt.WithIssuer(is.URL),
		jwt.WithAudience(is.Audience), jwt.WithExpirationRequired(),
	)
	return func(raw string) (jwt.MapClaims, error) {
		claims := jwt.MapClaims{}
		_, err := parser.ParseWithClaims(raw, claims, keys.Keyfunc)
		return claims, err
	}, nil
}

type claimsKey struct{}

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
		claims, err := verify(raw)
		if err != nil {
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

// protectEchoJWT gives echo-jwt a parser of its own (ParseTokenFunc): with the default one it would check neither issuer
// nor audience. The router of echo is in the path, and so in the time: there is no using it without.
func protectEchoJWT(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	verify, err := verifier(ctx, is)
	if err != nil {
		return nil, err
	}
	authenticate, err := echojwt.Config{
		ParseTokenFunc: func(_ echo.Context, raw string) (any, error) { return verify(raw) },
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
		claims, err := verify(raw)
		if err != nil {
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
