// Package jose verifies JSON Web Signatures strictly, and guards the keys that
// it verifies them with.
//
// Signatures are checked by golang-jwt's signing methods, and keys are parsed
// and handed out by keyfunc and jwkset. What these leave open is closed around
// them: golang-jwt's Parser ignores crit and b64, skips CR and LF inside a
// segment, decodes before any bound, and knows the algorithm Ed25519 only by a
// process-wide registration, so the compact form is taken apart here.
package jose

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Why a string is not taken. The first says that it is something else; the
// others, that it is a JWS and a bad one.
var (
	ErrNotJWS    = errors.New("jose: not a compact JWS")
	ErrMalformed = errors.New("jose: malformed")
	ErrAlgorithm = errors.New("jose: algorithm not allowed")
	ErrKey       = errors.New("jose: no such key")
	ErrSignature = errors.New("jose: signature does not verify")
)

// Limits bound a JWS before anything is decoded.
type Limits struct {
	Token  int // bytes
	Header int // bytes, decoded
}

// JWS is a parsed, unverified compact JWS (RFC 7515 §3.1).
type JWS struct {
	Algorithm string // alg
	KeyID     string // kid; "" if there is none
	Type      string // typ, as [MediaType] returns it; "" if there is none

	signed    string // what is signed: the first two segments
	payload   string // the second segment
	signature string // the third
}

// Parse takes token apart. No parameter of the header that could bring a key of
// its own (jku, jwk, x5u, x5c) is looked at.
func Parse(token string, limits Limits) (JWS, error) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.IndexByte(signature, '.') >= 0 || !beginsObject(header) {
		return JWS{}, ErrNotJWS
	}
	if len(token) > limits.Token || base64.RawURLEncoding.DecodedLen(len(header)) > limits.Header {
		return JWS{}, ErrMalformed
	}
	if signature == "" {
		return JWS{}, ErrMalformed
	}
	j := JWS{
		signed:    token[:len(header)+1+len(payload)],
		payload:   payload,
		signature: signature,
	}
	return j, j.parseHeader(header)
}

// beginsObject tells base64url of what begins like a JSON object from all else.
// It is lenient, so that a mangled JWS is refused rather than taken for an
// opaque token, and sent to somebody who knows those.
func beginsObject(segment string) bool {
	prefix := segment[:min(len(segment), 64)&^3]
	raw, _ := base64.RawURLEncoding.DecodeString(prefix) // what was decoded before an error will do
	return strings.HasPrefix(strings.TrimLeft(string(raw), " \t\r\n"), "{")
}

func (j *JWS) parseHeader(segment string) error {
	raw, err := decode(segment)
	if err != nil {
		return err
	}
	members, err := strictjson.Object(string(raw))
	if err != nil {
		return ErrMalformed
	}
	for _, m := range members {
		switch m.Name {
		case "alg":
			j.Algorithm, err = strictjson.String(m.Value)
		case "kid":
			j.KeyID, err = nonEmpty(m.Value)
		case "typ":
			j.Type, err = nonEmpty(m.Value)
			j.Type = MediaType(j.Type)
		case "crit", "b64", "enc", "zip":
			// No extension is understood, so every crit is one too many (RFC 7515
			// §4.1.11); b64 is not for JWTs (RFC 7797 §7); enc and zip belong to JWE.
			err = ErrMalformed
		}
		if err != nil {
			return ErrMalformed
		}
	}
	if j.Algorithm == "" {
		return ErrMalformed
	}
	return nil
}

func nonEmpty(value string) (string, error) {
	s, err := strictjson.String(value)
	if err == nil && s == "" {
		err = ErrMalformed
	}
	return s, err
}

// MediaType is the canonical form of a typ or cty: lower case, and without the
// application/ that may be left out (RFC 7515 §4.1.9).
func MediaType(typ string) string {
	typ = strings.ToLower(typ)
	if rest, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return typ
}

// Payload decodes the payload. Whether to believe it, Verify says.
func (j *JWS) Payload() ([]byte, error) { return decode(j.payload) }

// UnverifiedIssuer reads the iss that the token claims for itself, "" if there
// is none: it may choose whose keys are tried, and nothing else.
func (j *JWS) UnverifiedIssuer() string {
	issuer, _ := strictjson.String(j.unverified("iss"))
	return issuer
}

// unverifiedIssuedAt reads the iat that the token claims for itself.
func (j *JWS) unverifiedIssuedAt() (time.Time, bool) {
	issuedAt, err := strictjson.NumericDate(j.unverified("iat"))
	return issuedAt, err == nil
}

func (j *JWS) unverified(claim string) string {
	payload, err := j.Payload()
	if err != nil {
		return ""
	}
	members, _ := strictjson.Object(string(payload)) // none, if it is no object
	value, _ := strictjson.Lookup(members, claim)
	return value
}

// decode decodes base64url without padding, in its one canonical spelling.
func decode(segment string) ([]byte, error) {
	if strings.ContainsAny(segment, "\r\n") { // which encoding/base64 skips
		return nil, ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, ErrMalformed
	}
	return raw, nil
}
