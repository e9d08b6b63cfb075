package jose_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/jose"
	"github.com/oauthz/oauthz/oauthztest"
)

// rsaKey returns a JWK with a modulus of the given length. Its private key does not
// exist.
func rsaKey(bits uint, e ...byte) string {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q}`, b64(n.SetBit(n, 0, 1).Bytes()...), b64(e...))
}

func TestUsableKeys(t *testing.T) {
	t.Parallel()
	f4 := []byte{1, 0, 1}
	ec := strings.TrimSuffix(strings.TrimPrefix(string(server(t, oauthztest.Config{}).JWKS()), `{"keys":[`), `]}`)
	okp := func(n int, b byte) string {
		return `{"kty":"OKP","crv":"Ed25519","x":"` + b64(append(make([]byte, n-1), b)...) + `"}`
	}
	for key, usable := range map[string]bool{
		rsaKey(2048, f4...): true, rsaKey(2047, f4...): false, rsaKey(8192, f4...): true, rsaKey(8193, f4...): false,
		rsaKey(2048, 3): true, rsaKey(2048, 1): false, rsaKey(2048, 4): false, rsaKey(2048, 1, 0, 0, 1): true,
		rsaKey(2048, 0, 0, 1, 0, 1): false, rsaKey(2048, 1, 0, 0, 0, 1): false,
		ec: true, strings.Replace(ec, `"x":"`, `"x":"AAAA`, 1): false, strings.Replace(ec, `"y":"`, `"y":"AAAA`, 1): false, // octets of zero
		okp(32, 1): true, okp(31, 1): false, okp(33, 1): false, okp(32, 0x80): false, // order 4, with the sign bit
		strings.Replace(ec, `"use":"sig"`, `"use":"tls"`, 1):          false,
		strings.Replace(ec, `"use":"sig"`, `"key_ops":"verify"`, 1):   false,
		strings.Replace(ec, `"use":"sig"`, `"key_ops":["verify"]`, 1): true,
	} {
		_, _, err := jose.NewFixedSet([]byte(`{"keys":[`+key+`]}`), 1)
		if usable {
			assert.NoError(t, err, key)
		} else {
			assert.EqualError(t, err, "no usable key in the set", key)
		}
	}
}

func TestFixedSetsThatAreRefused(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"keys":[]}`: "no usable key in the set", `{"keys":[{},null]}`: "no usable key in the set",
		`{"keys":[{},{},{}]}`: "not a JWK Set within bounds", `{}`: "not a JWK Set within bounds", `[]`: "not a JWK Set within bounds",
		`{"keys":{}}`: "not a JWK Set within bounds", `{"keys":[],"keys":[]}`: "not a JWK Set within bounds",
	} {
		set, _, err := jose.NewFixedSet([]byte(doc), 2)
		require.EqualError(t, err, want, doc)
		assert.Nil(t, set)
	}
}

func TestEventOfAFixedSet(t *testing.T) {
	t.Parallel()
	private := strings.Replace(rsaKey(2048, 1, 0, 1), `{`, `{"d":"AQAB",`, 1)
	doc := `{"keys":[` + strings.Join([]string{private, rsaKey(2056, 3), rsaKey(2056, 3), `null`, `{}`}, ",") + `]}`
	set, event, err := jose.NewFixedSet([]byte(doc), 5)
	require.NoError(t, err)
	assert.Equal(t, jose.Event{Keys: 2, Skipped: 2, Private: 1}, event)
	assert.NoError(t, set.Ready())
}
