package remote_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/doubling"
	"github.com/oauthz/oauthz/remote"
)

// maxAnswer is the default of Config.MaxAnswerBytes.
const maxAnswer = 256 << 10

// The cost of an answer is linear in the bytes that a server or its users put into it.
func TestCostOfAnAnswerIsLinear(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(n int) string{
		"a long string":     func(n int) string { return `,"x":"` + strings.Repeat("x", n) + `"` },
		"escapes":           func(n int) string { return `,"x":"` + strings.Repeat(`\u0041`, n/6) + `"` },
		"members":           func(n int) string { return numbered(n, `,"%":1`) },
		"members, null":     func(n int) string { return numbered(n, `,"%":null`) },
		"a long array":      func(n int) string { return `,"x":[1` + strings.Repeat(",1", n/2) + `]` },
		"objects":           func(n int) string { return `,"x":[{}` + strings.Repeat(`,{"a":1}`, n/8) + `]` },
		"audiences":         func(n int) string { return `,"x":1,"aud":["a"` + strings.Repeat(`,"a"`, n/4) + `]` },
		"scopes":            func(n int) string { return `,"scope":"a` + strings.Repeat(" a", n/2) + `"` },
		"spaces":            func(n int) string { return strings.Repeat(" ", n) },
		"an odd token_type": func(n int) string { return `,"token_type":"` + strings.Repeat("refres", n/6) + `"` },
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Linear(t, maxAnswer, func(n int) func() {
				body := []byte(`{"active":true` + answer(n) + `}`)
				response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}
				return func() { _, _ = remote.RFC7662().Answer(response, body) }
			})
		})
	}
}

// numbered repeats part, with a number for %, up to n bytes.
func numbered(n int, part string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Replace(part, "%", strconv.Itoa(i), 1))
	}
	return b.String()
}

// Any client can send the token whose hash is computed.
func TestCostOfATokenHashIsLinear(t *testing.T) {
	t.Parallel()
	const header, encrypted = "eyJhbGciOiJFUzI1NiJ9.", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0."
	for name, token := range map[string]func(n int) string{
		"opaque":     func(n int) string { return strings.Repeat("a", n) },
		"dots":       func(n int) string { return strings.Repeat(".", n) },
		"JWS":        func(n int) string { return header + strings.Repeat("A", n) + ".c2ln" },
		"JWS, parts": func(n int) string { return header + strings.Repeat("A.", n/2) },
		"JWE, parts": func(n int) string { return encrypted + strings.Repeat("A.", n/2) },
		"padding":    func(n int) string { return header + strings.Repeat("=", n) + ".c2ln" },
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Linear(t, oauthz.MaxTokenBytes, func(n int) func() {
				s := token(n)
				return func() { oauthz.TokenHash(s) }
			})
		})
	}
}
