package oauthz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync/atomic"
)

// Introspector says what an access token says.
//
// It must be safe for concurrent use. It may be asked with any string that the
// grammar of RFC 6750 §2.1 allows, up to [MaxTokenBytes] long when a [Guard] asks.
type Introspector interface {
	// Introspect judges token. There are four answers:
	//
	//   - A nil error: the token is active, and t says what it grants. The
	//     caller only reads t, which may be shared.
	//   - An error that wraps ErrInvalidToken: a refusal. If it may not last, for
	//     the token is not valid yet or its key is not published, the error has a
	//     method Temporary() bool that returns true: no cache remembers it, and
	//     nobody takes the token for dead.
	//   - An error that wraps ErrUnrecognized: the string is not of the kind
	//     that this Introspector judges. FirstOf asks the next one.
	//   - Any other error: a fault. Nothing is known of the token, and the
	//     client is told to come back, not that its token is bad.
	//
	// An error never holds the token or a part of it.
	Introspect(ctx context.Context, token string) (t *Token, err error)
}

// IntrospectorFunc is a function that is an [Introspector].
type IntrospectorFunc func(ctx context.Context, token string) (*Token, error)

// Introspect calls f.
func (f IntrospectorFunc) Introspect(ctx context.Context, token string) (*Token, error) {
	return f(ctx, token)
}

// FirstOf asks one Introspector after the other until one recognizes the
// token. A fault or a refusal ends the chain: a token that one of them judged
// is never sent to another.
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

// isNil also finds the nil pointer or function inside an interface, which
// would otherwise panic at the first request.
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

// Source is where a verdict came from.
type Source int

const (
	// Fresh: the introspector judged the token now.
	Fresh Source = iota
	// Remembered: a cache held the verdict, and it still stood.
	Remembered
	// Stale: a cache held the verdict, and the introspector could not be asked again.
	Stale
)

// String returns "fresh", "remembered" or "stale".
func (s Source) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Remembered:
		return "remembered"
	case Stale:
		return "stale"
	default:
		return fmt.Sprintf("Source(%d)", int(s))
	}
}

type sourceKey struct{}

// ReportSource tells the [Guard] that is asking where the verdict comes from;
// [Decision] shows it. It does nothing when nobody listens, and is safe for
// concurrent use.
func ReportSource(ctx context.Context, s Source) {
	if cell, ok := ctx.Value(sourceKey{}).(*atomic.Int64); ok {
		cell.Store(int64(s))
	}
}

// Secret is a string that is not printed: by package fmt, in slog and in JSON it
// is "[redacted]". Convert it to string to use it.
//
// That holds for values and for exported fields. These print the string itself,
// because they call no method of its type:
//
//   - package fmt with the verb %p, and with %w (go vet reports both), and for
//     fields that are not exported. Keep a Secret behind a pointer or in a
//     function there.
//   - encoding/json for the keys of a map.
//   - encoding/gob, and whatever else goes by reflection alone.
type Secret string

const redacted = "[redacted]"

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]" for every verb for which package fmt calls it: all
// but %T, %p and %w.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[redacted]"; JSON uses it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
