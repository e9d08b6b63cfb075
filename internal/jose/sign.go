package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
)

// Sign returns a compact JWS of claims. sign is made by [Signer] or [SharedSecret].
func Sign(alg, kid string, sign func(signed []byte) ([]byte, error), claims map[string]any) (string, error) {
	header := map[string]string{"alg": alg}
	if kid != "" {
		header["kid"] = kid
	}
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(h) + "." + encode(c)
	signature, err := sign([]byte(signed))
	if err != nil {
		return "", err
	}
	return signed + "." + encode(signature), nil
}

// SharedSecret returns a function that signs with HS256 (RFC 7518 §3.2). HS256 only
// authenticates us to a server; nothing is verified with it.
func SharedSecret(secret []byte) func(signed []byte) ([]byte, error) {
	return func(signed []byte) ([]byte, error) {
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		return mac.Sum(nil), nil
	}
}

// Signer returns a function that signs with alg, one of [Algorithms], and key. The
// private key itself may be elsewhere, such as in an HSM. golang-jwt's methods need
// the private key itself, except for EdDSA.
func Signer(alg string, key crypto.Signer) (func(signed []byte) ([]byte, error), error) {
	a, ok := algorithms[alg]
	if v := reflect.ValueOf(key); !ok || key == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fmt.Errorf("cannot sign with %q, or no key", alg)
	}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if a.kty == "RSA" {
			return rsaSigner(alg, key), nil
		}
	case *ecdsa.PublicKey:
		if a.kty == "EC" && a.crv == public.Params().Name {
			return ecdsaSigner(alg, key, (public.Params().BitSize+7)/8), nil
		}
	case ed25519.PublicKey:
		if a.kty == "OKP" {
			return func(signed []byte) ([]byte, error) { return key.Sign(rand.Reader, signed, crypto.Hash(0)) }, nil
		}
	}
	return nil, errors.New("the key does not sign with " + alg)
}

// hashOf returns the hash that the last digits of alg name (RFC 7518 §3.1).
func hashOf(alg string) crypto.Hash {
	switch alg[2:] {
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	default:
		return crypto.SHA256
	}
}

func digest(hash crypto.Hash, signed []byte) []byte {
	h := hash.New()
	h.Write(signed)
	return h.Sum(nil)
}

func rsaSigner(alg string, key crypto.Signer) func([]byte) ([]byte, error) {
	hash := hashOf(alg)
	var opts crypto.SignerOpts = hash
	if alg[:2] == "PS" {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return func(signed []byte) ([]byte, error) { return key.Sign(rand.Reader, digest(hash, signed), opts) }
}

// ecdsaSigner returns a function that signs with key. It converts the ASN.1
// signature of a crypto.Signer into the concatenation of r and s (RFC 7518 §3.4).
func ecdsaSigner(alg string, key crypto.Signer, size int) func([]byte) ([]byte, error) {
	hash := hashOf(alg)
	return func(signed []byte) ([]byte, error) {
		der, err := key.Sign(rand.Reader, digest(hash, signed), hash)
		if err != nil {
			return nil, err
		}
		var point struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(der, &point); err != nil || len(rest) > 0 || point.R.BitLen() > 8*size || point.S.BitLen() > 8*size {
			return nil, errors.New("the signer does not return an ECDSA signature")
		}
		raw := make([]byte, 2*size)
		point.R.FillBytes(raw[:size])
		point.S.FillBytes(raw[size:])
		return raw, nil
	}
}
