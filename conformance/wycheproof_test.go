package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
)

// wycheproofFile is a file of Project Wycheproof. In json_web_signature_test.json, the keys of a group are one key each; in
// json_web_key_test.json, they are JWK Sets.
type wycheproofFile struct {
	TestGroups []struct {
		Comment string
		Public  json.RawMessage
		Private json.RawMessage
		Tests   []struct {
			TCID    int `json:"tcId"`
			JWS     string
			Result  string
			Comment string
		}
	}
}

func readWycheproof(t testing.TB, name string) (file wycheproofFile) {
	t.Helper()
	readJSON(t, "wycheproof/"+name, &file)
	return file
}

func TestWycheproofSignaturesVerifyOrAreRefused(t *testing.T) {
	t.Parallel()
	runWycheproof(t, readWycheproof(t, "json_web_signature_test.json"), readDecisions(t).WycheproofSignatures, `{"keys":[%s]}`, 401)
}

func TestWycheproofKeySetsVerifyOrAreRefused(t *testing.T) {
	t.Parallel()
	runWycheproof(t, readWycheproof(t, "json_web_key_test.json"), readDecisions(t).WycheproofKeys, `%s`, 26)
}

// runWycheproof runs each JWS against the key of its group, as a fixed set. The payloads have no claims, so the reason of the
// refusal shows whether the signature verifies.
func runWycheproof(t *testing.T, file wycheproofFile, decided map[string]signatureDecision, set string, want int) {
	t.Helper()
	rows, verifies, used := 0, 0, 0
	for _, group := range file.TestGroups {
		key, symmetric := group.Public, group.Public == nil
		if symmetric {
			key = group.Private
		}
		in, err := localjwt.New(t.Context(), localjwt.Config{
			Issuer: "https://issuer.example", Audience: []string{"a"}, JWKS: fmt.Appendf(nil, set, key),
		})
		for _, test := range group.Tests {
			rows++
			want := test.Result == "valid" && !symmetric // no symmetric key is ever used
			if decision, ok := decided[strconv.Itoa(test.TCID)]; ok {
				assert.NotEqual(t, decision.Verifies, test.Result == "valid", "tc%d: the decision changes nothing", test.TCID)
				used++
				want = decision.Verifies
			}
			verified := err == nil && signatureVerifies(t, in, test.JWS)
			if verified {
				verifies++
			}
			assert.Equal(t, want, verified, "tc%d %s: %s", test.TCID, group.Comment, test.Comment)
		}
	}
	t.Logf("Wycheproof: %d rows, %d verify, %d decided otherwise", rows, verifies, used)
	assert.Equal(t, want, rows)
	assert.Len(t, decided, used, "a decision names no row")
}

// signatureVerifies reports whether the introspector refuses jws for its claims, which it judges only after the signature.
func signatureVerifies(t *testing.T, in *localjwt.Introspector, jws string) bool {
	t.Helper()
	_, err := in.Introspect(t.Context(), jws)
	require.Error(t, err)
	require.True(t, errors.Is(err, oauthz.ErrInvalidToken) || errors.Is(err, oauthz.ErrUnrecognized), "not a refusal: %v", err)
	return strings.Contains(err.Error(), "oauthz: invalid token: claims:") || strings.Contains(err.Error(), "iss is another issuer")
}
