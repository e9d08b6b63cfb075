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

// An algorithm is a JWS algorithm (RFC 7518 §3.1), with a function that makes a key for it and the method that signs.
type algorithm struct {
	generate func() crypto.Signer
	method   jwt.SigningMethod
}

// Ed25519 (RFC 9864 §2.2) is EdDSA under a name that includes the curve. golang-jwt does not know the name, and it is not
// registered there: the registry belongs to the whole process, and a test must not change which algorithms the code under
// test accepts.
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

// publicJWK returns the members of a public key: RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2.
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

// A signingKey never changes, except for the members of its JWK, which the mutex of the keyring protects.
type signingKey struct {
	kid, algorithm string
	private        crypto.Signer
	jwk            map[string]any
}

// A keyring holds the keys of a server and the response of its JWKS endpoint. Keys are made when they are first needed.
type keyring struct {
	algorithm string // of the first key, and of the keys that rotate makes

	mu           sync.Mutex
	keys         map[string]*signingKey // by kid, published or not
	signing      map[string]*signingKey // by algorithm: the keys that sign
	published    []string               // kids, oldest publication first
	override     []byte                 // the JWK Set to serve instead, if not nil
	cacheControl string
}

// add adds a key, which from then on signs for its algorithm. The caller holds mu.
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

// current returns the key that signs for an algorithm. It makes and publishes one if there is none. The caller holds mu.
func (k *keyring) current(algorithm string) *signingKey {
	if key := k.signing[algorithm]; key != nil {
		return key
	}
	key := k.add(algorithm, algorithms[algorithm].generate())
	k.published = append(k.published, key.kid)
	return key
}

// pick returns the key to sign with: the key with that kid, else the current one for the algorithm, else the first.
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

// known returns the key with that kid. The caller holds mu.
func (k *keyring) known(kid string) *signingKey {
	if len(k.keys) == 0 {
		k.current(k.algorithm) // the first key always exists for a caller that names it
	}
	key := k.keys[kid]
	if key == nil {
		panic(fmt.Sprintf("oauthztest: no such key: %q", kid))
	}
	return key
}

// rotate makes a key that signs from then on. It makes the key before it takes the lock, so that requests are answered
// meanwhile.
func (k *keyring) rotate(publish bool) string {
	private := algorithms[k.algorithm].generate()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current(k.algorithm) // make the old key, if there is none yet
	key := k.add(k.algorithm, private)
	if publish {
		k.published = append(k.published, key.kid)
	}
	return key.kid
}

// caching returns the Cache-Control header for the document.
func (k *keyring) caching() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cacheControl
}

// document returns the JWK Set as it is served now.
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
