package oauthz_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/doubling"
)

// maxFieldBytes is the longest field that net/http passes on: by default all fields together have a megabyte.
const maxFieldBytes = http.DefaultMaxHeaderBytes

// longFields are Authorization fields of n bytes that could make a search for credentials slow.
var longFields = map[string]func(n int) string{
	"commas":                   func(n int) string { return "x" + strings.Repeat(",", n) },
	"commas and spaces":        func(n int) string { return "x" + strings.Repeat(", ", n/2) },
	"commas and tabs":          func(n int) string { return "x" + strings.Repeat(",\t", n/2) },
	"spaces":                   func(n int) string { return "x," + strings.Repeat(" ", n) },
	"lists of another scheme":  func(n int) string { return "x" + strings.Repeat(",a", n/2) },
	"almost the scheme":        func(n int) string { return "x" + strings.Repeat(",Bearer!", n/8) },
	"the scheme without space": func(n int) string { return "x" + strings.Repeat(",Bearer", n/7) },
	"one long scheme":          func(n int) string { return strings.Repeat("x", n) },
	"spaces behind Bearer":     func(n int) string { return "Bearer" + strings.Repeat(" ", n) },
	"equals signs":             func(n int) string { return "Bearer " + strings.Repeat("=", n) },
	"a token that is too long": func(n int) string { return "Bearer " + strings.Repeat("A", n) },
	"a list of tokens":         func(n int) string { return "Bearer a" + strings.Repeat(", Bearer a", n/10) },
}

// Any client can send a field of a megabyte to any route, also a field without credentials.
func TestCostOfAFieldIsLinear(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{Introspector: answers(&oauthz.Token{}, nil)})
	for name, field := range longFields {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxFieldBytes, func(n int) func() {
				r := get(field(n))
				return func() { _, _ = guard.Authorize(r, oauthz.Require().OrAnonymous()) }
			})
		})
	}
}

func TestCostOfAQueryIsLinear(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{})
	for name, part := range map[string]string{
		"separators": "&", "names": "a&", "names and values": "a=b&", "equals signs": "=", "escapes": "%41", "escaped names": "%41&",
		"plus signs": "+", "semicolons": "a;", "bad escapes": "%zz&", "long escaped names": "%41cces%73_token&", "almost the name": "access_toke=&",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxFieldBytes, func(n int) func() {
				r := withGoodToken()
				r.URL.RawQuery = strings.Repeat(part, n/len(part))
				return func() {
					_, err := guard.Authorize(r, oauthz.Require())
					require.NoError(t, err)
				}
			})
		})
	}
}

// BenchmarkLongField measures the cost of a megabyte from an unauthenticated client.
func BenchmarkLongField(b *testing.B) {
	guard := newGuard(b, oauthz.Config{Introspector: oauthz.IntrospectorFunc(
		func(context.Context, string) (*oauthz.Token, error) { return &oauthz.Token{}, nil },
	)})
	for name, field := range longFields {
		b.Run(name, func(b *testing.B) {
			r := get(field(maxFieldBytes))
			b.SetBytes(maxFieldBytes)
			for b.Loop() {
				_, _ = guard.Authorize(r, oauthz.Require().OrAnonymous())
			}
		})
	}
}
