package oauthztest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// An algorithm is a JWS algorithm (RFC 7518 §3.1): how to make a key for it, and how to sign with one.
type algorithm struct {
	generate func() crypto.Signer
	method   jwt.SigningMethod
}

// Ed25519 (RFC 9864 §2.2) is EdDSA under a name that says the curve. golang-jwt does not know the name, and is not taught
// it: its registry belongs to the whole process, and a test must not change what the code under test accepts.
var algorithms = map[string]algorithm{
	"RS256":   {generateRSA, jwt.SigningMethodRS256},
	"RS384":   {generateRSA, jwt.SigningMethodRS384},
	"RS512":   {generateRSA, jwt.SigningMethodRS512},
	"PS256":   {generateRSA, jwt.SigningMethodPS256},
	"PS384":   {generateRSA, jwt.SigningMethodPS384},
	"PS512":   {generateRSA, jwt.SigningMethodPS512},
	"ES256":   {generateEC(elliptic.P256()), jwt.SigningMethodES256},
	"ES384":   {generateEC(elliptic.P384()), jwt.SigningMethodES384},
	"ES512":   {generateEC(elliptic.P521()), jwt.SigningMethodES512},
	"EdDSA":   {generateEd25519, jwt.SigningMethodEdDSA},
	"Ed25519": {generateEd25519, jwt.SigningMethodEdDSA},
}

func generateRSA() crypto.Signer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must("generate", err)
	return private
}

func generateEC(curve elliptic.Curve) func() crypto.Signer {
	return func() crypto.Signer {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		must("generate", err)
		return private
	}
}

func generateEd25519() crypto.Signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must("generate", err)
	return private
}

// publicJWK has the members of a public key: RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2.
func publicJWK(public crypto.PublicKey) map[string]any {
	encode := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x and y, both as long as the curve's field
		must("encode", err)
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return map[string]any{"kty": "EC", "crv": public.Params().Name, "x": encode(x), "y": encode(y)}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
	}
	panic(fmt.Sprintf("oauthztest: encode: %T", public))
}

// A signingKey never changes, but for the members of its JWK, which the keyring guards.
type signingKey struct {
	kid, algorithm string
	private        crypto.Signer
	jwk            map[string]any
}

// A keyring holds the keys of a server, and what its JWKS endpoint says. Keys are made when they are first asked for.
type keyring struct {
	algorithm string // of the first key, and of those it is rotated to

	mu           sync.Mutex
	keys         map[string]*signingKey // by kid, published or not
	signing      map[string]*signingKey // by algorithm: the ones in use
	published    []string               // kids, oldest publication first
	override     []byte                 // served instead, if not nil
	cacheControl string
}

// add takes in a key and makes it the one that signs for its algorithm. The caller holds mu.
func (k *keyring) add(algorithm string, private crypto.Signer) *signingKey {
	kid := fmt.Sprintf("key-%d", len(k.keys)+1)
	added := &signingKey{kid: kid, algorithm: algorithm, private: private, jwk: publicJWK(private.Public())}
	added.jwk["kid"], added.jwk["use"], added.jwk["alg"] = kid, "sig", algorithm
	if k.keys == nil {
		k.keys, k.signing = map[string]*signingKey{}, map[string]*signingKey{}
	}
	k.keys[kid], k.signing[algorithm] = added, added
	return added
}

// current is the key that signs for an algorithm, made and published if there is none. The caller holds mu.
func (k *keyring) current(algorithm string) *signingKey {
	if key := k.signing[algorithm]; key != nil {
		return key
	}
	key := k.add(algorithm, algorithms[algorithm].generate())
	k.published = append(k.published, key.kid)
	return key
}

// pick is the key to sign with: the one that is called kid, else the current one for the algorithm, else the first.
func (k *keyring) pick(kid, algorithm string) *signingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case kid != "":
		return k.known(kid)
	case algorithm != "":
		return k.current(algorithm)
	default:
		return k.current(k.algorithm)
	}
}

// known is the key that is called kid. The caller holds mu.
func (k *keyring) known(kid string) *signingKey {
	if len(k.keys) == 0 {
		k.current(k.algorithm) // the first key is always there for who asks
	}
	key := k.keys[kid]
	if key == nil {
		panic(fmt.Sprintf("oauthztest: no such key: %q", kid))
	}
	return key
}

// rotate makes a key and has it sign. The key is made before the lock is taken: requests are answered meanwhile.
func (k *keyring) rotate(publish bool) string {
	private := algorithms[k.algorithm].generate()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current(k.algorithm) // what is rotated away from
	key := k.add(k.algorithm, private)
	if publish {
		k.published = append(k.published, key.kid)
	}
	return key.kid
}

// caching is the Cache-Control header that goes with the document.
func (k *keyring) caching() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cacheControl
}

// document is the JWK Set as it is served now.
func (k *keyring) document() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.override != nil {
		return slices.Clone(k.override)
	}
	k.current(k.algorithm)
	jwks := make([]map[string]any, 0, len(k.published))
	for _, kid := range k.published {
		jwks = append(jwks, k.keys[kid].jwk)
	}
	return encoded(map[string]any{"keys": jwks})
}

func must(doing string, err error) {
	if err != nil {
		panic(fmt.Errorf("oauthztest: %s: %w", doing, err))
	}
}
