package localjwt_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// BenchmarkNewToken is a request with a token that no cache knows, through our
// Guard and through what people write by hand over the same two libraries, in
// one run:
//
//	go test -run '^$' -bench NewToken -benchmem -count 10 ./localjwt | tee new.txt
//	benchstat -col /by new.txt
func BenchmarkNewToken(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		as := oauthztest.NewServer(oauthztest.Config{Algorithm: alg})
		b.Cleanup(as.Close)
		token := as.Mint(oauthztest.Claims{"scope": "orders:read orders:write profile"})
		for _, by := range []struct {
			name    string
			protect func(testing.TB, *oauthztest.Server, http.Handler) http.Handler
		}{{"oauthz", protectOurs}, {"byhand", protectByHand}} {
			b.Run("alg="+alg+"/by="+by.name, func(b *testing.B) {
				benchmarkRequests(b, by.protect(b, as, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), token)
			})
		}
	}
}

// BenchmarkBareVerification is the floor: rsa.VerifyPKCS1v15 and nothing else.
func BenchmarkBareVerification(b *testing.B) {
	as := oauthztest.NewServer(oauthztest.Config{})
	b.Cleanup(as.Close)
	token := as.Mint(oauthztest.Claims{"scope": "orders:read orders:write profile"})
	signed, signature := token[:strings.LastIndex(token, ".")], token[strings.LastIndex(token, ".")+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	require.NoError(b, err)
	keys, err := keyfunc.NewJWKSetJSON(as.JWKS())
	require.NoError(b, err)
	set, err := keys.VerificationKeySet(b.Context())
	require.NoError(b, err)
	public := set.Keys[0].(*rsa.PublicKey)
	hash := sha256.Sum256([]byte(signed))
	b.ReportAllocs()
	for b.Loop() {
		if rsa.VerifyPKCS1v15(public, crypto.SHA256, hash[:], raw) != nil {
			b.Fatal("does not verify")
		}
	}
}

func benchmarkRequests(b *testing.B, h http.Handler, token string) {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(b, http.StatusOK, w.Code)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func protectOurs(tb testing.TB, as *oauthztest.Server, h http.Handler) http.Handler {
	tb.Helper()
	in, err := localjwt.New(tb.Context(), localjwt.Config{
		Issuer: as.Issuer(), Audience: []string{audience}, JWKSURL: as.JWKSURL(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(tb, err)
	guard, err := oauthz.New(oauthz.Config{Introspector: in})
	require.NoError(tb, err)
	return guard.Protect(oauthz.Require("orders:read"))(h)
}

type claimsKey struct{}

// protectByHand is the middleware that people write: golang-jwt with MapClaims,
// keyfunc for the key, issuer, audience and expiry checked, and one scope.
func protectByHand(tb testing.TB, as *oauthztest.Server, h http.Handler) http.Handler {
	tb.Helper()
	keys, err := keyfunc.NewJWKSetJSON(json.RawMessage(as.JWKS()))
	require.NoError(tb, err)
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}), jwt.WithIssuer(as.Issuer()),
		jwt.WithAudience(audience), jwt.WithExpirationRequired(),
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
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
	})
}
