package peers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/remote"
)

func protectLocal(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	in, err := local(ctx, is)
	return protectOurs(in, is, next, err)
}

func protectLocalCached(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	guard, err := CachedGuard(ctx, is)
	if err != nil {
		return nil, err
	}
	return guard.Protect(oauthz.Require(is.Scope))(ours(next)), nil
}

// CachedGuard is the Guard of a token that was seen before: localjwt behind a cache. Every framework gets the same.
func CachedGuard(ctx context.Context, is Issuer) (*oauthz.Guard, error) {
	in, err := local(ctx, is)
	if err != nil {
		return nil, err
	}
	remembering, err := cached(ctx, in)
	if err != nil {
		return nil, err
	}
	return guarding(remembering)
}

func protectRemote(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	in, err := introspecting(ctx, is)
	return protectOurs(in, is, next, err)
}

func protectRemoteCached(ctx context.Context, is Issuer, next Handler) (http.Handler, error) {
	in, err := introspecting(ctx, is)
	if err != nil {
		return nil, err
	}
	remembering, err := cached(ctx, in)
	return protectOurs(remembering, is, next, err)
}

func local(ctx context.Context, is Issuer) (*localjwt.Introspector, error) {
	in, err := localjwt.New(ctx, localjwt.Config{
		Issuer: is.URL, Audience: []string{is.Audience}, JWKSURL: is.JWKSURL, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("oauthz: %w", err)
	}
	return in, nil
}

func introspecting(ctx context.Context, is Issuer) (*remote.Introspector, error) {
	in, err := remote.New(ctx, remote.Config{
		Endpoint: is.IntrospectionURL, Issuer: is.URL, Audience: []string{is.Audience}, HTTPClient: is.HTTPClient,
		Auth: remote.Basic(is.ClientID, oauthz.Secret(is.ClientSecret)),
	})
	if err != nil {
		return nil, fmt.Errorf("oauthz: %w", err)
	}
	return in, nil
}

// cached remembers for longer than any run takes: what is timed is a token that was seen, not one in sixty seconds that
// has to be looked at again. It ends with ctx.
func cached(ctx context.Context, in oauthz.Introspector) (*cache.Cache, error) {
	remembering, err := cache.New(in, cache.Config{TTL: 24 * time.Hour})
	if err != nil {
		return nil, fmt.Errorf("oauthz: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = remembering.Close() })
	return remembering, nil
}

func guarding(in oauthz.Introspector) (*oauthz.Guard, error) {
	guard, err := oauthz.New(oauthz.Config{Introspector: in})
	if err != nil {
		return nil, fmt.Errorf("oauthz: %w", err)
	}
	return guard, nil
}

func protectOurs(in oauthz.Introspector, is Issuer, next Handler, err error) (http.Handler, error) {
	if err != nil {
		return nil, err
	}
	guard, err := guarding(in)
	if err != nil {
		return nil, err
	}
	return guard.Protect(oauthz.Require(is.Scope))(ours(next)), nil
}

func ours(next Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		next(w, r, token.Subject)
	})
}
