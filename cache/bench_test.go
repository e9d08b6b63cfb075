package cache_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// BenchmarkSeenToken is a request with a token seen before, one scope checked,
// beside the same by hand over golang-jwt and keyfunc, which verifies each time:
//
//	go test -run '^$' -bench SeenToken -benchmem -count 10 ./cache > seen.txt
//	benchstat -col /by seen.txt
func BenchmarkSeenToken(b *testing.B) {
	as := oauthztest.NewServer(oauthztest.Config{})
	b.Cleanup(as.Close)
	token := as.Mint(oauthztest.Claims{"scope": "orders:read orders:write profile", "exp": time.Now().Add(time.Hour), "email": "alice@customer.example", "roles": []string{"clerk", "auditor"}})
	in, err := localjwt.New(b.Context(), localjwt.Config{
		Issuer: as.Issuer(), Audience: []string{"https://api.example"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(b, err)
	c, err := cache.New(in, cache.Config{TTL: time.Hour})
	require.NoError(b, err)
	b.Cleanup(func() { _ = c.Close() })
	guard, err := oauthz.New(oauthz.Config{Introspector: c})
	require.NoError(b, err)
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	keys, err := keyfunc.NewJWKSetJSON(as.JWKS())
	require.NoError(b, err)
	for name, h := range map[string]http.Handler{
		"oauthz": guard.Protect(oauthz.Require("orders:read"))(nothing), "byhand": byHand(as, keys, nothing),
	} {
		b.Run("by="+name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/orders", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(b, http.StatusOK, w.Code)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// byHand is the middleware that people write: see BenchmarkNewToken in localjwt.
func byHand(as *oauthztest.Server, keys keyfunc.Keyfunc, next http.Handler) http.Handler {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(as.Issuer()),
		jwt.WithAudience("https://api.example"), jwt.WithExpirationRequired(),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := parser.Parse(raw, keys.Keyfunc)
		if !found || err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		claims, _ := token.Claims.(jwt.MapClaims)
		scope, _ := claims["scope"].(string)
		if !slices.Contains(strings.Fields(scope), "orders:read") {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// BenchmarkJunk asks for a million different junk tokens, and reports the memory
// that is held after them; a good token stays warm (CA-07). Run it once:
//
//	go test -run '^$' -bench Junk -benchtime 1x ./cache
func BenchmarkJunk(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c, next := junked(b, 1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MB-held")
		b.ReportMetric(float64(c.Stats().Refusals), "refusals-held")
		calls := next.calls.Load()
		_, err := c.Introspect(b.Context(), "good")
		require.NoError(b, err)
		require.Equal(b, calls, next.calls.Load(), "the good token is warm")
	}
}
