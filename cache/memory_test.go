package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
)

// shapes are answers of servers. %d stillValid for the number of the token.
var shapes = map[string]string{
	"opaque, short":        `{"active":true,"iss":"https://i.example","sub":"u%d"}`,
	"opaque":               `{"active":true,"iss":"https://i.example","sub":"user-%d","aud":"api","client_id":"web","scope":"a b c","exp":4102444800}`,
	"JWT of 1.3 KB":        `{"sub":"user-%d","iss":"https://i.example","aud":["a","b"],"scope":"openid profile email","realm_access":{"roles":["` + strings.Repeat(`role","`, 60) + `x"]}` + members(20, `,"claim%d":"some value %d"`) + `}`,
	"pretty":               "{\n  \"sub\": \"user-%d\",\n  \"iss\": \"https://i.example\"" + members(12, ",\n  \"claim%d\": \"some value %d\"") + "\n}\n",
	"33 members":           `{"sub":"user-%d"` + members(32, `,"m%d":%d`) + `}`,
	"many members":         `{"sub":"user-%d"` + members(200, `,"m%d":%d`) + `}`,
	"one big member":       `{"sub":"user-%d","x":"` + strings.Repeat("x", 20_000) + `"}`,
	"just over a size":     `{"sub":"user-%d","x":"` + strings.Repeat("x", 3460) + `"}`,
	"just over 32 KiB":     `{"sub":"user-%d","x":"` + strings.Repeat("x", 32<<10) + `"}`,
	"spaces":               `{"sub":"user-%d"` + strings.Repeat(" ", 8000) + `}`,
	"spaces around":        strings.Repeat("\n", 4000) + `{"sub":"user-%d"}` + strings.Repeat("\t", 4000),
	"spaces in a member":   `{"sub":"user-%d","x":{` + strings.Repeat(" ", 8000) + `}}`,
	"escaped names":        `{"sub":"user-%d"` + members(40, `,"`+strings.Repeat(`\u0041`, 20)+`%d":%d`) + `}`,
	"a long escaped name":  `{"sub":"user-%d","\n` + strings.Repeat("x", 8000) + `":1}`,
	"escaped values":       `{"sub":"user-%d","iss":"https:\/\/` + strings.Repeat("x", 4000) + `","jti":"\/` + strings.Repeat("x", 4000) + `"}`,
	"audiences":            `{"sub":"user-%d","aud":["a"` + strings.Repeat(`,"audience"`, 500) + `]}`,
	"escaped audiences":    `{"sub":"user-%d","aud":["a"` + strings.Repeat(`,"\/`+strings.Repeat("x", 100)+`"`, 100) + `]}`,
	"one escaped audience": `{"sub":"user-%d","aud":["\/"` + strings.Repeat(`,"`+strings.Repeat("x", 100)+`"`, 100) + `]}`,
	"scopes":               `{"sub":"user-%d","scope":"a` + strings.Repeat(" scope", 900) + `"}`,
	"spaces for scopes":    `{"sub":"user-%d","scope":"a` + strings.Repeat(" ", 900) + `"}`,
	"an escaped scope":     `{"sub":"user-%d","scope":"\/` + strings.Repeat(" scope", 900) + `"}`,
	"scp":                  `{"sub":"user-%d","scp":["a"` + strings.Repeat(`,"scope"`, 1500) + `]}`,
	"escaped scp":          `{"sub":"user-%d","scp":["\/"` + strings.Repeat(`,"\/`+strings.Repeat("x", 100)+`"`, 100) + `]}`,
	"cnf":                  `{"sub":"user-%d","cnf":{"jkt":"x"` + members(100, `,"m%d":%d`) + `}}`,
	"cnf, escaped":         `{"sub":"user-%d","cnf":{"jkt":"x"` + members(100, `,"\n%d":%d`) + `}}`,
}

func members(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i, i)
	}
	return strings.ReplaceAll(b.String(), "%", "%%")
}

// parsing returns an introspector that reads its tokens from shape, as package remote
// and package localjwt do.
func parsing(shape string) oauthz.Introspector {
	number := 0
	return &upstream{answer: func(_ context.Context, token string) (*oauthz.Token, error) {
		number++
		t, err := oauthz.ParseToken(fmt.Appendf(nil, shape, number))
		if err != nil {
			return nil, err
		}
		stillValid := number
		t.SetVerdict(oauthz.Verdict{TokenHash: oauthz.TokenHash(token), Live: func() bool { return stillValid > 0 }})
		return t, nil
	}}
}

// MaxBytes counts the bytes that the tokens take on the heap. The test is not
// parallel, because other tests use the heap too.
func TestMaxBytesCountsTheHeap(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			n := max(3<<20/(len(shape)+1000), 100)
			counted, kept := fillCache(t, parsing(shape), n)
			t.Logf("%d tokens: %d bytes of heap each, %d counted, ratio %.2f", n, kept/int64(n), counted/int64(n), float64(kept)/float64(counted))
			assert.InDelta(t, 1, float64(kept)/float64(counted), 0.2)
		})
	}
}

// A full cache that has evicted many tokens does not take more than MaxBytes. The
// test is not parallel, for the same reason.
func TestFullCacheTakesMaxBytes(t *testing.T) {
	const most = 2 << 20
	c := newCache(t, parsing(shapes["opaque"]), cache.Config{MaxBytes: most})
	before := heapInUse()
	for i := range 6000 {
		_, err := c.Introspect(t.Context(), fmt.Sprint("token-", i))
		require.NoError(t, err)
	}
	kept := heapInUse() - before
	t.Logf("%d tokens, ratio %.2f", c.Stats().Tokens, float64(kept)/most)
	assert.Greater(t, c.Stats().Tokens, 1000)
	assert.LessOrEqual(t, float64(kept)/most, 1.2)
}

// fillCache returns the bytes that a cache counts for n tokens, and the bytes that they take.
func fillCache(t *testing.T, next oauthz.Introspector, n int) (counted, kept int64) {
	t.Helper()
	c := newCache(t, next, cache.Config{MaxTokens: 1 << 30, MaxBytes: 1 << 30})
	before := heapInUse()
	for i := range n {
		_, err := c.Introspect(t.Context(), fmt.Sprint("token-", i))
		require.NoError(t, err)
	}
	kept = heapInUse() - before
	require.Equal(t, n, c.Stats().Tokens)
	return c.Stats().Bytes, kept
}

// heapInUse returns the bytes in use on the heap.
func heapInUse() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // frees the objects that finalizers and pools kept during the first
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
