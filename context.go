package oauthz

import (
	"context"
	"fmt"
	"io"

	"github.com/oauthz/oauthz/internal/probe"
)

type tokenKey struct{}

// TokenFrom returns the token with which the Guard let the request through. It is a
// copy that belongs to the handler, and stays valid after the request. ok is false
// for an anonymous request, and on a public route unless an outer Guard has put a
// token into the context.
func TokenFrom(ctx context.Context) (t *Token, ok bool) {
	if ctx == nil {
		return nil, false
	}
	t, ok = ctx.Value(tokenKey{}).(*Token)
	return t, ok && t != nil
}

// WithToken returns a context from which [TokenFrom] returns t. It is for tests of
// handlers, and for servers that are not HTTP servers. A [Guard] ignores t: it
// validates the credentials of the request.
func WithToken(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// grantKey is the key of the grant of an outer Guard. It is also that of a probe, so
// that a Guard finds either with one look-up.
type grantKey = probe.GuardKey

// grant is the context of an authorized request. It holds the result of the Guard,
// for the Guards below it, and the handler's own copy of the token. It is a single
// allocation.
type grant struct {
	context.Context
	guard       *Guard
	credentials string // the Authorization field of the request
	token       *Token // as the introspector returned it
	source      Source
	own         Token // the handler's copy
}

// Format writes the name of the type alone. Without this method, package fmt would
// print the credentials, of whatever type they are, because the field is not exported.
func (g *grant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "oauthz.grant") }

// Value implements context.Context. The context holds the grant and the handler's
// token.
func (g *grant) Value(key any) any {
	switch key.(type) {
	case grantKey:
		return g
	case tokenKey:
		return &g.own
	default:
		return g.Context.Value(key)
	}
}
