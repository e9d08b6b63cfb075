package endpoint_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

var (
	notOwner         = answer{400, isJSON, `{"error":"unauthorized_client"}`}
	unsupportedToken = answer{400, isJSON, `{"error":"unsupported_token_type"}`}
)

var (
	hashMatch = map[string]any{"iss": "i", "token_sha256": oauthz.TokenHash("opaque")}
	jtiMatch  = map[string]any{"iss": "i", "jti": "7"}
)

var revocationTests = []struct {
	name   string
	token  string // default "opaque"
	remote bool   // a server introspected the token, so it carries its hash
	claims string // CLIENT stands for the id of the client
	want   answer
	match  []map[string]any
}{
	{name: "jti", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","sub":"s","iat":1}`, want: revokedAnswer, match: []map[string]any{jtiMatch}},
	{
		name: "iat, without a jti", claims: `{"iss":"i","client_id":"CLIENT","sub":"s","iat":1800000000}`, want: revokedAnswer,
		match: []map[string]any{{"iss": "i", "client_id": client, "sub": "s", "iat": json.Number("1800000000")}},
	},
	{
		name: "iat, without a subject", claims: `{"iss":"i","client_id":"CLIENT","iat":1800000000.5}`, want: revokedAnswer,
		match: []map[string]any{{"iss": "i", "client_id": client, "iat": json.Number("1800000000.5")}},
	},
	{name: "hash", remote: true, claims: `{"iss":"i","jti":"7","client_id":"CLIENT","iat":1}`, want: revokedAnswer, match: []map[string]any{hashMatch}},
	{name: "only the hash", remote: true, claims: `{"iss":"i","client_id":"CLIENT"}`, want: revokedAnswer, match: []map[string]any{hashMatch}},
	{
		name: "JWT that a server introspected", token: "a.b.c", remote: true,
		claims: `{"iss":"i","jti":"7","client_id":"CLIENT","iat":1}`, want: revokedAnswer,
		match: []map[string]any{{"iss": "i", "token_sha256": oauthz.TokenHash("a.b.c")}, jtiMatch},
	},
	{
		name: "JWT that a server introspected, without a jti", token: "a.b.c", remote: true, claims: `{"iss":"i","client_id":"CLIENT","iat":1}`, want: revokedAnswer,
		match: []map[string]any{{"iss": "i", "token_sha256": oauthz.TokenHash("a.b.c")}, {"iss": "i", "client_id": client, "iat": json.Number("1")}},
	},
	{
		name: "token_sha256 claimed by the token", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","token_sha256":"x"}`, want: revokedAnswer,
		match: []map[string]any{jtiMatch},
	},
	{name: "neither jti, iat nor hash", claims: `{"iss":"i","client_id":"CLIENT","sub":"s"}`, want: unsupportedToken},
	{name: "no issuer", claims: `{"jti":"7","client_id":"CLIENT","iat":1}`, want: unsupportedToken},
	{name: "no issuer, hash", remote: true, claims: `{"jti":"7","client_id":"CLIENT","iat":1}`, want: unsupportedToken},
	{name: "refresh token", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","token_type":"refresh_token"}`, want: unsupportedToken},
	{name: "another client's", claims: `{"iss":"i","jti":"7","client_id":"other"}`, want: notOwner},
	{name: "another client's, that differs in case", claims: `{"iss":"i","jti":"7","client_id":"Orders api:1"}`, want: notOwner},
	{name: "no client's", claims: `{"iss":"i","jti":"7"}`, want: notOwner},
	{name: "another client's, and nothing to name it by", claims: `{"client_id":"other"}`, want: notOwner},
	{name: "expired", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","exp":1}`, want: revokedAnswer},
	{name: "expired, another client's", claims: `{"iss":"i","jti":"7","client_id":"other","exp":1}`, want: revokedAnswer},
}

// RFC 7009 §2.1 and §2.2: which client may revoke a token, and the claims that its record names.
func TestRevocationRecordsMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range revocationTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			presented := tt.token
			if presented == "" {
				presented = "opaque"
			}
			token := parseToken(t, strings.ReplaceAll(tt.claims, "CLIENT", client))
			if tt.remote {
				token.SetVerdict(oauthz.Verdict{TokenHash: oauthz.TokenHash(presented)})
			}
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: answers(token, nil), Revoker: revoker})
			assert.Equal(t, tt.want, serve(t, h, post(url.Values{"token": {presented}})))
			var match []map[string]any
			for _, rev := range revoker.revs {
				match = append(match, rev.Match)
			}
			assert.Equal(t, tt.match, match)
		})
	}
}

// RFC 7009 §2.1: a client_id names a client of one issuer. A client of another issuer with the same id may not revoke the token.
func TestRevocationByAClientOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		caller, token string
		want          answer
	}{
		"same issuer":              {`"iss":"i",`, `"iss":"i",`, revokedAnswer},
		"another issuer":           {`"iss":"evil",`, `"iss":"i",`, notOwner},
		"client without an issuer": {``, `"iss":"i",`, revokedAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guard, err := oauthz.New(oauthz.Config{
				Introspector: claims(t, `{`+tt.caller+`"client_id":"api","scope":"revoke"}`), Now: atNoon,
			})
			require.NoError(t, err)
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{
				Introspector: claims(t, `{`+tt.token+`"client_id":"api","jti":"7"}`), Revoker: revoker,
				Auth: endpoint.AccessToken(guard, oauthz.Require("revoke")),
			})
			assert.Equal(t, tt.want, serve(t, h, credentialed("", "Bearer own")()))
			assert.Equal(t, tt.want == revokedAnswer, len(revoker.revs) == 1)
		})
	}
}

func TestRevocationRecordFields(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		claims string
		want   oauthz.Revocation
	}{
		"expires":       {fmt.Sprintf(`,"exp":%d`, unixAt(time.Hour)), oauthz.Revocation{Expires: noon.Add(time.Hour)}},
		"never expires": {``, oauthz.Revocation{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{
				Introspector: claims(t, `{"iss":"i","jti":"7","client_id":"`+client+`"`+tt.claims+`}`), Revoker: revoker,
			})
			assert.Equal(t, revokedAnswer, serve(t, h, postToken()))
			tt.want.Match, tt.want.Reason, tt.want.At = map[string]any{"iss": "i", "jti": "7"}, "revoked by its client (RFC 7009)", noon
			assert.Equal(t, []oauthz.Revocation{tt.want}, revoker.revs)
		})
	}
}

// RFC 7009 §2.2: an unknown token is not an error. §2.2.1: a fault is answered with 503, never with 200.
func TestRevocationOfIntrospectorErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range introspectorAnswerTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want == (answer{}) {
				want = revokedAnswer
			}
			revoker := &recorder{}
			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: answers(tt.token, tt.err), Revoker: revoker})
			assert.Equal(t, want, serve(t, h, postToken()))
			assert.Empty(t, revoker.revs)
		})
	}
}

func TestRevocationRevokerFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want answer
	}{
		"fault":                              {errors.New("canary"), unavailable},
		"fault with a retry time":            {retryableError(503, time.Minute), retryIn("60")},
		"fault that wraps a refusal":         {oauthz.ErrInvalidToken, unavailable},
		"fault with the status of a refusal": {retryableError(401, 0), unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := revocationHandler(t, endpoint.RevocationConfig{
				Introspector: claims(t, `{"iss":"i","jti":"7","client_id":"`+client+`"}`), Revoker: &recorder{err: tt.err},
			})
			assert.Equal(t, tt.want, serve(t, h, postToken()))
		})
	}
}

// A token that its client revoked is refused everywhere, in each of its encodings.
func TestRevokedTokenIsRefused(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]oauthztest.Claims{
		"by jti": {"client_id": client},
		"by iat": {"client_id": client, "jti": oauthztest.Absent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: atNoon})
			t.Cleanup(as.Close)
			verifier, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{"https://api.example"}, Now: atNoon})
			require.NoError(t, err)
			revoked := &oauthz.MemoryRevocations{Now: atNoon}
			guard, err := oauthz.New(oauthz.Config{Introspector: verifier, RevocationLists: []oauthz.RevocationList{revoked}, Now: atNoon})
			require.NoError(t, err)
			token := as.Mint(given)
			other := as.Mint(oauthztest.Claims{"client_id": client, "sub": "another"})
			reencoded := withHighS(t, token)
			statusOf := func(token string) int { return guardedStatus(guard, token) }
			require.Equal(t, []int{204, 204, 204}, []int{statusOf(token), statusOf(reencoded), statusOf(other)})

			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: verifier, Revoker: revoked})
			require.Equal(t, revokedAnswer, serve(t, h, post(url.Values{"token": {token}})))
			assert.Equal(t, []int{401, 401, 204}, []int{statusOf(token), statusOf(reencoded), statusOf(other)}, "token, second encoding, other")
			introspect := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: verifier, RevocationLists: []oauthz.RevocationList{revoked}})
			for _, encoding := range []string{token, reencoded} {
				assert.Equal(t, inactive, serve(t, introspect, post(url.Values{"token": {encoding}})))
			}
			assert.Equal(t, revokedAnswer, serve(t, h, post(url.Values{"token": {token}})), "a second revocation")
		})
	}
}

// guardedStatus returns the status for a request with token behind guard: 204 if the handler runs.
func guardedStatus(guard *oauthz.Guard, token string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	return w.Code
}

// withHighS returns the second valid encoding of an ES256 signature: n-s verifies as s does.
func withHighS(t *testing.T, token string) string {
	t.Helper()
	signed, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	require.NoError(t, err)
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(raw)
}

// Only an authenticated client can revoke: otherwise the Revoker is not called.
func TestRevocationRequiresAuthentication(t *testing.T) {
	t.Parallel()
	revoker := &recorder{}
	h := revocationHandler(t, endpoint.RevocationConfig{
		Introspector: claims(t, `{"iss":"i","jti":"7","client_id":"`+client+`"}`), Revoker: revoker,
		Auth: endpoint.ClientSecret(func(context.Context, string, oauthz.Secret) error { return endpoint.ErrInvalidClient }),
	})
	assert.Equal(t, invalidClient, serve(t, h, postToken()))
	assert.Empty(t, revoker.revs)
}
