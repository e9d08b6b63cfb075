package oauthz

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// TokenHash returns base64url(SHA-256(token)): the value for [MatchTokenHash].
//
// Of a JWS (RFC 7515 §3.1) it hashes the signing input, header.payload, without the
// signature: an ES256 signature has a second encoding that is valid too. The parts of
// a JWS or JWE are hashed in their canonical base64url, because a server may accept
// other encodings: for example with padding, or with unused bits that are not zero.
func TokenHash(token string) string {
	var buffer [512]byte // on the stack, and enough for most opaque tokens
	sum := sha256.Sum256(append(buffer[:0], canonicalToken(token)...))
	var text [(sha256.Size*8 + 5) / 6]byte
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return string(text[:])
}

// canonicalToken returns the part that all encodings of a JWS or a JWE share, in
// canonical form. It returns any other token unchanged.
func canonicalToken(token string) string {
	if !strings.Contains(token, ".") {
		return token
	}
	parts := strings.Split(token, ".")
	var header map[string]json.RawMessage
	if raw, ok := decodeLeniently(parts[0]); !ok || json.Unmarshal(raw, &header) != nil || header["alg"] == nil {
		return token
	}
	if header["enc"] == nil { // not a JWE (RFC 7516 §4)
		if parts[1] == "" { // two such tokens differ only in the signature
			return token
		}
		parts = parts[:2]
	}
	for i, part := range parts {
		if raw, ok := decodeLeniently(part); ok {
			parts[i] = base64.RawURLEncoding.EncodeToString(raw)
		}
	}
	return strings.Join(parts, ".")
}

var urlAlphabet = strings.NewReplacer("+", "-", "/", "_")

// decodeLeniently decodes base64 of either alphabet, with or without padding. It
// ignores the unused bits.
func decodeLeniently(part string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(urlAlphabet.Replace(strings.TrimRight(part, "=")))
	return raw, err == nil
}
