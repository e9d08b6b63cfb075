package cache_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/internal/doubling"
)

// A token that is remembered is found by its hash, whatever its length. (The first call runs the introspector in another
// goroutine, whose time is not measured.)
func TestCostOfALongTokenIsLinear(t *testing.T) {
	t.Parallel()
	c := newCache(t, answers(nil), cache.Config{})
	doubling.Linear(t, oauthz.MaxTokenBytes, func(n int) func() {
		token := strings.Repeat("a", n)
		return func() { _, _ = c.Introspect(context.Background(), token) }
	})
}

// Looking up many tokens costs each the same, and so does discarding them for others.
func TestCostOfManyTokensIsLinear(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]int{"all are remembered": 1 << 14, "few are remembered": 1 << 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, 1<<12, func(n int) func() {
				c := newCache(t, answers(nil), cache.Config{TTL: time.Hour, MaxTokens: kept})
				tokens := make([]string, n)
				for i := range tokens {
					tokens[i] = strconv.Itoa(i)
				}
				return func() {
					for _, token := range tokens {
						_, _ = c.Introspect(context.Background(), token)
					}
				}
			})
		})
	}
}
