package localjwt_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

func b64(raw ...byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// onlyMember returns the one JWK of the set of as.
func onlyMember(as *oauthztest.Server) string {
	return strings.TrimSuffix(strings.TrimPrefix(string(as.JWKS()), `{"keys":[`), `]}`)
}

// A key with the alg Ed25519 verifies under both names of the algorithm. A key that
// the set holds several times counts once among the keys to try.
func TestKeysUnderSeveralNames(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{Algorithm: "EdDSA"})
	kid := as.Keys()[0]
	as.SetKeyMember(kid, "alg", "Ed25519")
	one := onlyMember(as)
	as.Rotate()
	set := strings.Replace(string(as.JWKS()), one, strings.Repeat(one+",", 4)+one, 1)
	in := fixedKeys(t, as, set)
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		assert.Equal(t, ok, send(t, in, as.Mint(nil, oauthztest.WithKey(kid), oauthztest.WithHeader("alg", alg))), alg)
	}
	assert.Equal(t, ok, send(t, in, as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent))))
}

// A key that is published under another name, or for another algorithm, is another
// key.
func TestKeyThatChanges(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		old := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(time.Hour)}, oauthztest.WithAlgorithm("RS256"))
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, old))
		as.SetKeyMember(as.Keys()[0], "kid", "renamed")
		as.SetKeyMember("key-2", "alg", "PS256")
		pass(20 * time.Minute)
		fetches := as.fetches.Load()
		assert.Equal(t, ok, send(t, in, as.mintUnknown("renamed", nil)))
		assert.Equal(t, ok, send(t, in, as.Mint(nil, oauthztest.WithAlgorithm("PS256"), oauthztest.WithKey("key-2"))))
		assert.Equal(t, fetches, as.fetches.Load())
		assert.Equal(t, refused, send(t, in, old))
	})
}

// Among keys that share a name, the kind of key decides. Keys of the same name and
// kind are all tried.
func TestKeysThatShareAName(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{})
	t.Cleanup(as.Close)
	tokens := []string{
		as.Mint(nil, oauthztest.WithHeader("kid", "same")),
		as.Mint(nil, oauthztest.WithAlgorithm("ES256"), oauthztest.WithHeader("kid", "same")),
	}
	as.Rotate()
	tokens = append(tokens, as.Mint(nil, oauthztest.WithHeader("kid", "same")))
	for _, kid := range as.Keys() {
		as.SetKeyMember(kid, "kid", "same")
	}
	in := fixedKeys(t, as, string(as.JWKS()))
	for i, token := range tokens {
		assert.Equal(t, ok, send(t, in, token), "token %d", i)
	}
	stranger := oauthztest.NewServer(oauthztest.Config{})
	t.Cleanup(stranger.Close)
	foreign := stranger.Mint(oauthztest.Claims{"iss": as.Issuer()}, oauthztest.WithHeader("kid", "same"))
	assert.Equal(t, refused, send(t, in, foreign))
}

// At most four of the keys that fit a token without kid are tried.
func TestFewKeysAreTriedWithoutAName(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(as.Close)
	var tokens []string
	for range 5 {
		tokens = append(tokens, as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent)))
		as.Rotate()
	}
	in := fixedKeys(t, as, string(as.JWKS()))
	for i, token := range tokens {
		want := ok
		if i == 4 {
			want = refused
		}
		assert.Equal(t, want, send(t, in, token), "signed with key %d of 6", i+1)
	}
}

// Members that are not usable keys are skipped, and nothing is verified with them.
func TestBadMembersDoNotAffectOtherKeys(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(as.Close)
	token := as.Mint(nil)
	good := string(as.JWKS()[len(`{"keys":[`) : len(as.JWKS())-len(`]}`)])
	for name, bad := range map[string]string{
		"null": `null`, "string": `"key"`, "array": `[]`, "empty": `{}`,
		"unknown kty":   `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`,
		"unknown crv":   `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`,
		"symmetric":     `{"kty":"oct","k":"c2VjcmV0"}`,
		"kty a number":  `{"kty":1}`,
		"kid a number":  strings.Replace(good, `"kid":"`, `"kid":1,"k2":"`, 1),
		"no verify":     strings.Replace(good, `"use":"sig"`, `"key_ops":["sign"]`, 1),
		"encryption":    strings.Replace(good, `"use":"sig"`, `"use":"enc"`, 1),
		"unknown alg":   strings.Replace(good, `"alg":"ES256"`, `"alg":"ES256K"`, 1),
		"other alg":     strings.Replace(good, `"alg":"ES256"`, `"alg":"ES384"`, 1),
		"upper case":    strings.Replace(good, `"kty"`, `"KTY"`, 1),
		"padded number": strings.Replace(good, `"x":"`, `"x":"=`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, good, bad)
			assert.Equal(t, ok, send(t, fixedKeys(t, as, fmt.Sprintf(`{"keys":[%s,%s]}`, bad, good)), token))
			_, err := localjwt.New(t.Context(), localjwt.Config{
				Issuer: as.Issuer(), Audience: []string{audience}, JWKS: json.RawMessage(fmt.Sprintf(`{"keys":[%s]}`, bad)),
			})
			assert.EqualError(t, err, "localjwt: config: JWKS: no usable key in the set")
		})
	}
}
