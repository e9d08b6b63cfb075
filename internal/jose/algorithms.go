package jose

import (
	"crypto/rsa"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// algorithm is the method of an alg, and the kind of key that it needs (RFC 7518
// §3.1, RFC 8037 §3.1, RFC 9864 §2.2).
type algorithm struct {
	method   jwt.SigningMethod
	kty, crv string
}

// algorithms holds every algorithm that can be verified. It has no symmetric
// algorithm, and not the algorithm none.
var algorithms = map[string]algorithm{
	"RS256":   {jwt.SigningMethodRS256, "RSA", ""},
	"RS384":   {jwt.SigningMethodRS384, "RSA", ""},
	"RS512":   {jwt.SigningMethodRS512, "RSA", ""},
	"PS256":   {exactSalt(jwt.SigningMethodPS256), "RSA", ""},
	"PS384":   {exactSalt(jwt.SigningMethodPS384), "RSA", ""},
	"PS512":   {exactSalt(jwt.SigningMethodPS512), "RSA", ""},
	"ES256":   {jwt.SigningMethodES256, "EC", "P-256"},
	"ES384":   {jwt.SigningMethodES384, "EC", "P-384"},
	"ES512":   {jwt.SigningMethodES512, "EC", "P-521"},
	"EdDSA":   {jwt.SigningMethodEdDSA, "OKP", "Ed25519"},
	"Ed25519": {jwt.SigningMethodEdDSA, "OKP", "Ed25519"}, // the name that RFC 9864 gives it
}

// exactSalt returns m with the salt length that RFC 7518 §3.5 demands.
// golang-jwt's own methods accept any length.
func exactSalt(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
	}
}

// Algorithms returns the names of all algorithms that can be verified, sorted.
func Algorithms() []string { return slices.Sorted(maps.Keys(algorithms)) }
