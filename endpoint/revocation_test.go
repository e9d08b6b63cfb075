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

// RFC 7009 §2.1 and §2.2: whose token it is, and by what it is recorded.
func TestRevocationRecords(t *testing.T) {
	t.Parallel()
	hash := map[string]any{"iss": "i", "token_sha256": oauthz.TokenHash("opaque")}
	jti := map[string]any{"iss": "i", "jti": "7"}
	for _, tt := range []struct {
		name   string
		token  string // default "opaque"
		remote bool   // a server was asked, so the token carries its hash
		claims string // CLIENT is the client's id
		want   answer
		match  []map[string]any
	}{
		{name: "jti", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","sub":"s","iat":1}`, want: revokedAnswer, match: []map[string]any{jti}},
		{
			name: "iat, for want of a jti", claims: `{"iss":"i","client_id":"CLIENT","sub":"s","iat":1800000000}`, want: revokedAnswer,
			match: []map[string]any{{"iss": "i", "client_id": client, "sub": "s", "iat": json.Number("1800000000")}},
		},
		{
			name: "iat, and no subject", claims: `{"iss":"i","client_id":"CLIENT","iat":1800000000.5}`, want: revokedAnswer,
			match: []map[string]any{{"iss": "i", "client_id": client, "iat": json.Number("1800000000.5")}},
		},
		{name: "hash", remote: true, claims: `{"iss":"i","jti":"7","client_id":"CLIENT","iat":1}`, want: revokedAnswer, match: []map[string]any{hash}},
		{name: "hash, and nothing else", remote: true, claims: `{"iss":"i","client_id":"CLIENT"}`, want: revokedAnswer, match: []map[string]any{hash}},
		{
			name: "RV-06 a JWT that a server was asked about has twins", token: "a.b.c", remote: true,
			claims: `{"iss":"i","jti":"7","client_id":"CLIENT","iat":1}`, want: revokedAnswer,
			match: []map[string]any{{"iss": "i", "token_sha256": oauthz.TokenHash("a.b.c")}, jti},
		},
		{
			name: "RV-06 without a jti, too", token: "a.b.c", remote: true, claims: `{"iss":"i","client_id":"CLIENT","iat":1}`, want: revokedAnswer,
			match: []map[string]any{{"iss": "i", "token_sha256": oauthz.TokenHash("a.b.c")}, {"iss": "i", "client_id": client, "iat": json.Number("1")}},
		},
		{
			name: "a hash that the token claims is none", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","token_sha256":"x"}`, want: revokedAnswer,
			match: []map[string]any{jti},
		},
		{name: "RV-03 nothing to know it by", claims: `{"iss":"i","client_id":"CLIENT","sub":"s"}`, want: unsupportedToken},
		{name: "no issuer", claims: `{"jti":"7","client_id":"CLIENT","iat":1}`, want: unsupportedToken},
		{name: "no issuer, hash", remote: true, claims: `{"jti":"7","client_id":"CLIENT","iat":1}`, want: unsupportedToken},
		{name: "refresh token", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","token_type":"refresh_token"}`, want: unsupportedToken},
		{name: "another client's", claims: `{"iss":"i","jti":"7","client_id":"other"}`, want: notOwner},
		{name: "another client's, that differs in case", claims: `{"iss":"i","jti":"7","client_id":"Orders api:1"}`, want: notOwner},
		{name: "nobody's", claims: `{"iss":"i","jti":"7"}`, want: notOwner},
		{name: "another client's comes first", claims: `{"client_id":"other"}`, want: notOwner},
		{name: "over", claims: `{"iss":"i","jti":"7","client_id":"CLIENT","exp":1}`, want: revokedAnswer},
		{name: "over, another client's", claims: `{"iss":"i","jti":"7","client_id":"other","exp":1}`, want: revokedAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			presented := tt.token
			if presented == "" {
				presented = "opaque"
			}
			token := parseToken(t, strings.ReplaceAll(tt.claims, "CLIENT", client))
			if tt.remote {
				token.WithTokenHash(presented)
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

// RFC 7009 §2.1: a client_id means a client of one issuer. With tokens of several, a namesake's are somebody else's.
func TestRevocationByANamesake(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		caller, token string
		want          answer
	}{
		"its own":                  {`"iss":"i",`, `"iss":"i",`, revokedAnswer},
		"a namesake's":             {`"iss":"evil",`, `"iss":"i",`, notOwner},
		"nobody said whose client": {``, `"iss":"i",`, revokedAnswer},
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

func TestRevocationEntry(t *testing.T) {
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

// RFC 7009 §2.2: unknown tokens are no error. §2.2.1: a fault is 503, never 200.
func TestRevocationVerdicts(t *testing.T) {
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

func TestRevocationThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want answer
	}{
		"fault":                    {errors.New("canary"), unavailable},
		"fault that names a time":  {retryableError(503, time.Minute), retryIn("60")},
		"whatever it wraps":        {oauthz.ErrInvalidToken, unavailable},
		"whatever its status says": {retryableError(401, 0), unavailable},
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

// A token that its client revoked is refused everywhere, in each of its spellings.
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
			revoked := &oauthz.Revocations{Now: atNoon}
			guard, err := oauthz.New(oauthz.Config{Introspector: verifier, Revocations: []oauthz.RevocationList{revoked}, Now: atNoon})
			require.NoError(t, err)
			token := as.Mint(given)
			other := as.Mint(oauthztest.Claims{"client_id": client, "sub": "another"})
			twin := withHighS(t, token)
			statusOf := func(token string) int { return guardedStatus(guard, token) }
			require.Equal(t, []int{204, 204, 204}, []int{statusOf(token), statusOf(twin), statusOf(other)})

			h := revocationHandler(t, endpoint.RevocationConfig{Introspector: verifier, Revoker: revoked})
			require.Equal(t, revokedAnswer, serve(t, h, post(url.Values{"token": {token}})))
			assert.Equal(t, []int{401, 401, 204}, []int{statusOf(token), statusOf(twin), statusOf(other)}, "RV-06: token, twin, other")
			introspect := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: verifier, RevocationLists: []oauthz.RevocationList{revoked}})
			for _, spelling := range []string{token, twin} {
				assert.Equal(t, inactive, serve(t, introspect, post(url.Values{"token": {spelling}})))
			}
			assert.Equal(t, revokedAnswer, serve(t, h, post(url.Values{"token": {token}})), "again")
		})
	}
}

// statusBehind is what a handler behind guard answers to who presents token: 204, if it runs.
func guardedStatus(guard *oauthz.Guard, token string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	guard.Protect(oauthz.Require())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})).ServeHTTP(w, r)
	return w.Code
}

// highS is the twin of an ES256 token: n-s verifies as s does.
func withHighS(t *testing.T, token string) string {
	t.Helper()
	signed, signature := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	require.NoError(t, err)
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(raw)
}

// Nobody but the client gets to say that: a Revoker is not asked for others.
func TestRevocationOfUnauthenticated(t *testing.T) {
	t.Parallel()
	revoker := &recorder{}
	h := revocationHandler(t, endpoint.RevocationConfig{
		Introspector: claims(t, `{"iss":"i","jti":"7","client_id":"`+client+`"}`), Revoker: revoker,
		Auth: endpoint.ClientSecret(func(context.Context, string, oauthz.Secret) error { return endpoint.ErrInvalidClient }),
	})
	assert.Equal(t, invalidClient, serve(t, h, postToken()))
	assert.Empty(t, revoker.revs)
}
