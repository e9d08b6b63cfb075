package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

// rfcJOSE is rfc-jose.json.
type rfcJOSE struct {
	JWS []struct {
		ID, Alg, JWS, Want string
		JWK                json.RawMessage
	}
	Thumbprints []struct{ ID, SHA256 string }
	AppendixA   struct {
		CNF  json.RawMessage
		X5TS string `json:"x5t#S256"`
	} `json:"rfc8705_appendix_a"`
	Section3 json.RawMessage `json:"rfc8705_section_3_example"`
	Figure2  struct {
		Claims json.RawMessage
	} `json:"rfc9068_figure_2"`
	RFC9701 struct {
		JWT    string
		Claims json.RawMessage
	} `json:"rfc9701_example"`
}

func readJOSE(t testing.TB) (file rfcJOSE) {
	t.Helper()
	readJSON(t, "rfc-jose.json", &file)
	t.Logf("RFC vectors: %d signatures, %d thumbprints, 4 tokens and answers", len(file.JWS), len(file.Thumbprints))
	return file
}

// No symmetric key is ever used, and no unsigned token accepted.
func TestSignaturesOfRFCsVerifyUnlessSymmetricOrUnsigned(t *testing.T) {
	t.Parallel()
	file := readJOSE(t)
	require.Len(t, file.JWS, 6)
	for _, v := range file.JWS {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			asymmetric := v.Alg != "none" && v.Alg != "HS256"
			assert.Equal(t, asymmetric, strings.HasPrefix(v.Want, "valid signature") && !strings.Contains(v.Want, "refuse"))
			key := v.JWK
			if !asymmetric {
				key = file.JWS[1].JWK // a set must have a key that can be used
			}
			in, err := localjwt.New(t.Context(), localjwt.Config{
				Issuer: "https://issuer.example", Audience: []string{"a"}, JWKS: fmt.Appendf(nil, `{"keys":[%s]}`, key),
			})
			require.NoError(t, err)
			assert.Equal(t, asymmetric, signatureVerifies(t, in, v.JWS))
		})
	}
}

func TestTokensBoundToAKeyAreRefusedWithoutAConfirmer(t *testing.T) {
	t.Parallel()
	file := readJOSE(t)
	require.Len(t, file.Thumbprints, 3)
	for _, v := range file.Thumbprints {
		checkBound(t, fmt.Sprintf(`{"cnf":{"jkt":%q}}`, v.SHA256), oauthz.Confirmation{JWKThumbprint: v.SHA256})
	}
	checkBound(t, fmt.Sprintf(`{"cnf":%s}`, file.AppendixA.CNF), oauthz.Confirmation{CertThumbprint: file.AppendixA.X5TS})
	checkBound(t, string(file.Section3), oauthz.Confirmation{CertThumbprint: "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})
}

// checkBound checks that a token with the claims is bound as want, and that the Guard refuses it.
func checkBound(t *testing.T, claims string, want oauthz.Confirmation) {
	t.Helper()
	token, err := oauthz.ParseToken([]byte(claims))
	require.NoError(t, err)
	require.NotNil(t, token.Confirmation)
	assert.Equal(t, want.JWKThumbprint, token.Confirmation.JWKThumbprint)
	assert.Equal(t, want.CertThumbprint, token.Confirmation.CertThumbprint)
	got := ask(t, oauthz.Config{Introspector: parses(claims)}, oauthz.Require())
	assert.Equal(t, http.StatusUnauthorized, got.StatusCode)
}

func TestClaimsOfRFC9068AreRead(t *testing.T) {
	t.Parallel()
	raw := readJOSE(t).Figure2.Claims
	var claims map[string]any
	require.NoError(t, json.Unmarshal(raw, &claims))
	got, err := oauthz.ParseToken(raw)
	require.NoError(t, err)
	checkClaims(t, claims, got)
	assert.Equal(t, claims["jti"], got.ID)
}

// The signing key of RFC 9701 is not published, so the claims are compared, and the token must not pass as an access token.
func TestIntrospectionAnswerOfRFC9701IsNotAnAccessToken(t *testing.T) {
	t.Parallel()
	file := readJOSE(t)
	var example struct {
		Introspection json.RawMessage `json:"token_introspection"`
	}
	readJSON(t, "rfc9701-example.json", &example)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(file.RFC9701.JWT, ".")[1])
	require.NoError(t, err)
	assert.JSONEq(t, string(file.RFC9701.Claims), string(payload))
	var claims map[string]any
	require.NoError(t, json.Unmarshal(example.Introspection, &claims))
	got, err := oauthz.ParseToken(example.Introspection)
	require.NoError(t, err)
	checkClaims(t, claims, got)

	in, err := localjwt.New(t.Context(), localjwt.Config{
		Issuer: "https://as.example.com/", Audience: []string{"https://rs.example.com/resource"},
		JWKS: fmt.Appendf(nil, `{"keys":[%s]}`, file.JWS[1].JWK),
	})
	require.NoError(t, err)
	_, err = in.Introspect(t.Context(), file.RFC9701.JWT)
	assert.ErrorIs(t, err, oauthz.ErrInvalidToken)
	assert.ErrorContains(t, err, "typ is not that of an access token")
}
