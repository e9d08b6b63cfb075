package interop_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// A privateJWK is a private key in the format of RFC 7517. It is written here, not by a JOSE library, so that the input of
// the server does not depend on code that the library under test uses too.
type privateJWK map[string]string

// newKeys makes one key of each kind. Each kid includes the generation, so that the header of a token shows after which
// rotation it was signed. No key has an alg: the server signs RS256 and PS256 with the one RSA key.
func newKeys(t *testing.T, generation int) []privateJWK {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := []privateJWK{rsaJWK(rsaKey), ecJWK(t, ecKey), edJWK(edKey)}
	for _, key := range keys {
		key["kid"] = fmt.Sprintf("%s-%d", key["kty"], generation)
	}
	return keys
}

func rsaJWK(key *rsa.PrivateKey) privateJWK {
	number := func(n *big.Int) string { return base64URL(n.Bytes()) }
	return privateJWK{
		"kty": "RSA",
		"n":   number(key.N),
		"e":   number(big.NewInt(int64(key.E))),
		"d":   number(key.D),
		"p":   number(key.Primes[0]),
		"q":   number(key.Primes[1]),
		"dp":  number(key.Precomputed.Dp),
		"dq":  number(key.Precomputed.Dq),
		"qi":  number(key.Precomputed.Qinv),
	}
}

func ecJWK(t *testing.T, key *ecdsa.PrivateKey) privateJWK {
	t.Helper()
	d, err := key.Bytes()
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes() // 0x04, then x and y of equal length
	require.NoError(t, err)
	x, y := point[1:1+len(d)], point[1+len(d):]
	return privateJWK{"kty": "EC", "crv": "P-256", "x": base64URL(x), "y": base64URL(y), "d": base64URL(d)}
}

func edJWK(key ed25519.PrivateKey) privateJWK {
	public := key[ed25519.SeedSize:]
	return privateJWK{"kty": "OKP", "crv": "Ed25519", "x": base64URL(public), "d": base64URL(key.Seed())}
}

// public returns the public half of a key, in the form in which it is registered.
func (key privateJWK) public() privateJWK {
	half := maps.Clone(key)
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		delete(half, member)
	}
	return half
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
