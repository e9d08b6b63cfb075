package cache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/internal/doubling"
)

// The cost of a token is linear, whether its verdict is remembered or not.
func TestCostOfATokenIsLinear(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]oauthz.Introspector{"good": says(nil), "junk": fails(oauthz.ErrInactive)} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, next, cache.Config{})
			doubling.Linear(t, oauthz.MaxTokenBytes, func(n int) func() {
				token := strings.Repeat("a", n)
				return func() { _, _ = c.Introspect(t.Context(), token) }
			})
		})
	}
}

// The cost of weighing a verdict is linear in the answer of the server, whose
// users fill some of its members.
func TestCostOfWeighingIsLinear(t *testing.T) {
	t.Parallel()
	const maxAnswer = 256 << 10 // the longest that package remote reads by default
	for name, part := range map[string]string{
		"members": `,"m%d":1`, "escaped names": `,"\u0041%d":1`, "spaces": ` `, "spaced members": ` ,  "m%d" : 1`,
	} {
		t.Run(name, func(t *testing.T) { weighingIsLinear(t, maxAnswer, `{"sub":"a"`, part, `}`) })
	}
	for name, part := range map[string]string{"audiences": `,"a"`, "escaped audiences": `,"\/a"`} {
		t.Run(name, func(t *testing.T) { weighingIsLinear(t, maxAnswer, `{"aud":["a"`, part, `]}`) })
	}
	t.Run("scopes", func(t *testing.T) { weighingIsLinear(t, maxAnswer, `{"scope":"a`, ` b`, `"}`) })
	t.Run("escaped subject", func(t *testing.T) { weighingIsLinear(t, maxAnswer, `{"sub":"a`, `\/`, `"}`) })
	t.Run("confirmations", func(t *testing.T) { weighingIsLinear(t, maxAnswer, `{"cnf":{"jkt":"a"`, `,"\n%d":1`, `}}`) })
}

func weighingIsLinear(t *testing.T, most int, begin, part, end string) {
	t.Helper()
	doubling.Linear(t, most, func(n int) func() {
		var b strings.Builder
		b.WriteString(begin)
		for i := 0; b.Len() < n; i++ {
			b.WriteString(strings.ReplaceAll(part, "%d", fmt.Sprint(i)))
		}
		b.WriteString(end)
		document := []byte(b.String())
		_, err := oauthz.ParseToken(document)
		require.NoError(t, err)
		return func() {
			token, _ := oauthz.ParseToken(document)
			_ = token.Size()
		}
	})
}
