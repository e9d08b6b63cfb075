package cases

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/oauthz/oauthz/bench/internal/figures"
)

// addBare adds the lower limit for all: the verification of the signature by the standard library, and nothing else. The
// hash and the decoding are done before.
func (s *Suite) addBare(iss *issuer) error {
	verify, err := bare(iss)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", figures.Bare, iss.Algorithm, err)
	}
	key := figures.Key{Benchmark: figures.Bare, Algorithm: iss.Algorithm, By: "crypto"}
	return s.add([]Case{{Key: key, verify: verify}}, goroutines())
}

func bare(iss *issuer) (func() bool, error) {
	dot := strings.LastIndexByte(iss.tokens.Good, '.')
	signed := []byte(iss.tokens.Good[:dot])
	signature, err := base64.RawURLEncoding.DecodeString(iss.tokens.Good[dot+1:])
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	public, err := publicKey(iss.JWKS)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(signed)
	switch public := public.(type) {
	case *rsa.PublicKey:
		return func() bool { return rsa.VerifyPKCS1v15(public, crypto.SHA256, hash[:], signature) == nil }, nil
	case *ecdsa.PublicKey:
		der, err := derOf(signature)
		if err != nil {
			return nil, err
		}
		return func() bool { return ecdsa.VerifyASN1(public, hash[:], der) }, nil
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(public, signed, signature) }, nil
	default:
		return nil, fmt.Errorf("a key of type %T", public)
	}
}

// publicKey is the first key of a set, as the standard library has it.
func publicKey(jwks []byte) (any, error) {
	set, err := jwk.Parse(jwks)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	first, ok := set.Key(0)
	if !ok {
		return nil, errors.New("key: the set is empty")
	}
	public, err := jwk.PublicRawKeyOf(first)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	switch public := public.(type) {
	case rsa.PublicKey:
		return &public, nil
	case ecdsa.PublicKey:
		return &public, nil
	default:
		return public, nil
	}
}

// derOf returns the ASN.1 form that ecdsa.VerifyASN1 needs, from the two halves of a JWS signature (RFC 7518 §3.4).
func derOf(signature []byte) ([]byte, error) {
	half := len(signature) / 2
	der, err := asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
	})
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return der, nil
}
