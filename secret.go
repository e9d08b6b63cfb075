package oauthz

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that is not printed: package fmt, slog and encoding/json write
// "[redacted]" in its place. Convert it to string to use it.
//
// That holds for values and for exported fields. In the following cases the string
// itself is printed, because no method of its type is called:
//
//   - package fmt with the verbs %p and %w (go vet reports both), and for fields
//     that are not exported. Keep a Secret behind a pointer or in a function there.
//   - encoding/json, for the keys of a map.
//   - encoding/gob, and any other package that uses reflection alone.
type Secret string

const redacted = "[redacted]"

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]" for every verb for which package fmt calls it: all
// except %T, %p and %w.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[redacted]". encoding/json calls it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
