package oauthz

import (
	"context"
	"fmt"
	"io"

	"github.com/oauthz/oauthz/internal/probe"
)

type tokenKey struct{}

// TokenFrom returns the token that the request was allowed with: a copy that
// is the handler's own, and stays valid after the request. There is none for an
// anonymous request, and on a public route unless an outer Guard left one.
func TokenFrom(ctx context.Context) (*Token, bool) {
	if ctx == nil {
		return nil, false
	}
	t, ok := ctx.Value(tokenKey{}).(*Token)
	return t, ok && t != nil
}

// WithToken returns a context from which [TokenFrom] returns t: for tests of
// handlers, and for servers that are not HTTP servers. A [Guard] does not
// believe it: it judges the credentials of the request.
func WithToken(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// grantKey is the key of the grant of an outer Guard. It is also that of a probe, so
// that a Guard finds either with one look-up.
type grantKey = probe.GuardKey

// grant is the context of an authorized request: what this Guard found, for
// the Guards below, and the handler's own copy of the token. One allocation
// holds all of it.
type grant struct {
	context.Context
	guard       *Guard
	credentials string // the Authorization field that was judged
	token       *Token // as the introspector gave it
	source      Source
	own         Token // the handler's copy
}

// Format writes the name of the type and nothing it holds: package fmt would
// print the credentials, whatever their type says, for their field is not
// exported.
func (g *grant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "oauthz.grant") }

// Value makes grant a context that carries itself and the handler's token.
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
