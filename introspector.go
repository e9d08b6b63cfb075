package oauthz

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
)

// Introspector validates access tokens and returns their claims.
//
// It must be safe for concurrent use. It must accept any string that the grammar of
// RFC 6750 §2.1 allows. A [Guard] calls it with at most [MaxTokenBytes] bytes.
type Introspector interface {
	// Introspect validates token. It has four kinds of results:
	//
	//   - A nil error: the token is active, and t holds its claims. The caller
	//     only reads t, which may be shared.
	//   - An error that wraps ErrInvalidToken: a refusal. If the refusal may be
	//     temporary (the token is not valid yet, or its key is not published), the
	//     error has a method Temporary() bool that returns true. A cache then does
	//     not remember the refusal, and no caller treats the token as ended.
	//   - An error that wraps ErrUnrecognized: the string is not of the kind of
	//     tokens that this Introspector validates. FirstOf calls the next one.
	//   - Any other error: a fault. The state of the token is unknown. The answer
	//     is 503 with Retry-After, and not that the token is bad.
	//
	// An error must never hold the token or a part of it.
	Introspect(ctx context.Context, token string) (t *Token, err error)
}

// IntrospectorFunc is a function that implements [Introspector].
type IntrospectorFunc func(ctx context.Context, token string) (*Token, error)

// Introspect calls f.
func (f IntrospectorFunc) Introspect(ctx context.Context, token string) (*Token, error) {
	return f(ctx, token)
}

// FirstOf returns an Introspector that calls introspectors in their order until one
// recognizes the token. A fault or a refusal ends the sequence: a token that one of
// them has accepted or refused is never sent to another. If none recognizes the
// token, the error is [ErrUnrecognized]. FirstOf returns an error if there are no
// introspectors, or if one is nil.
func FirstOf(introspectors ...Introspector) (Introspector, error) {
	if len(introspectors) == 0 {
		return nil, errors.New("oauthz: FirstOf: no introspector")
	}
	for i, in := range introspectors {
		if isNil(in) {
			return nil, fmt.Errorf("oauthz: FirstOf: introspector %d is nil", i)
		}
	}
	return firstOf(append([]Introspector(nil), introspectors...)), nil
}

type firstOf []Introspector

func (f firstOf) Introspect(ctx context.Context, token string) (*Token, error) {
	for _, in := range f {
		t, err := in.Introspect(ctx, token)
		if !errors.Is(err, ErrUnrecognized) {
			return t, err
		}
	}
	return nil, ErrUnrecognized
}

// isNil reports whether v is nil or holds a nil pointer, function, map, slice or
// channel. A nil inside an interface would otherwise panic at the first request.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan, reflect.Interface:
		return rv.IsNil()
	default:
		return false
	}
}

// Source is where the verdict about a token came from.
type Source int

const (
	// SourceFresh means that the introspector validated the token for this request.
	SourceFresh Source = iota
	// SourceRemembered means that a cache held the verdict, and that the verdict was still
	// valid.
	SourceRemembered
	// SourceStale means that a cache held the verdict, and that the introspector could not
	// be reached to renew it.
	SourceStale
)

// String returns "fresh", "remembered" or "stale".
func (s Source) String() string {
	switch s {
	case SourceFresh:
		return "fresh"
	case SourceRemembered:
		return "remembered"
	case SourceStale:
		return "stale"
	default:
		return fmt.Sprintf("Source(%d)", int(s))
	}
}

type sourceKey struct{}

// ReportSource reports to the calling [Guard] where the verdict came from, for
// [Decision.Source]. An [Introspector] calls it with the context that it received.
// It has no effect if the Guard has no Observe hook, or if ctx is not from a Guard.
// It is safe for concurrent use.
func ReportSource(ctx context.Context, s Source) {
	if cell, ok := ctx.Value(sourceKey{}).(*atomic.Int64); ok {
		cell.Store(int64(s))
	}
}
