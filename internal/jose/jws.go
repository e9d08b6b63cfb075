// Package jose verifies JSON Web Signatures strictly, and guards the keys that
// it verifies them with.
//
// golang-jwt's signing methods check the signatures, and keyfunc and jwkset parse
// the keys and hand them out. This package adds the checks that they omit:
// golang-jwt's Parser ignores crit and b64, skips CR and LF inside a segment,
// decodes before any bound, and knows the algorithm Ed25519 only by a process-wide
// registration. So the compact form is parsed here.
//
// The errors of this package have no prefix: the public package that returns them
// adds its own. They hold no byte of a token, of a key set or of an answer.
package jose

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// The reasons to refuse a string. ErrNotJWS means that the string is not a JWS;
// the others mean that it is a JWS that must not be accepted.
var (
	ErrNotJWS    = errors.New("not a compact JWS")
	ErrMalformed = errors.New("malformed JWS")
	ErrAlgorithm = errors.New("algorithm not allowed")
	ErrKey       = errors.New("no such key")
	ErrSignature = errors.New("signature does not verify")
)

// Limits bounds a JWS before anything is decoded.
type Limits struct {
	Token  int // bytes
	Header int // bytes, decoded
}

// JWS is a parsed, unverified compact JWS (RFC 7515 §3.1).
type JWS struct {
	Algorithm string // alg
	KeyID     string // kid; "" if there is none
	Type      string // typ, as [MediaType] returns it; "" if there is none

	signed    string // the first two segments, which the signature covers
	payload   string // the second segment
	signature string // the third
}

// Parse splits token and reads its header. It ignores the header parameters that
// could supply a key (jku, jwk, x5u, x5c).
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

// beginsObject reports whether segment is base64url of a text that begins like a
// JSON object. It is lenient: a mangled JWS must be refused. It must not count as
// an opaque token, which would be sent to the server that knows opaque tokens.
func beginsObject(segment string) bool {
	prefix := segment[:min(len(segment), 64)&^3]
	raw, _ := base64.RawURLEncoding.DecodeString(prefix) // the bytes before an error are enough
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
			// This package understands no extension, so it refuses every crit (RFC 7515
			// §4.1.11). b64 is not for JWTs (RFC 7797 §7). enc and zip belong to JWE.
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

// MediaType returns the canonical form of a typ or cty: in lower case, and without
// the prefix application/, which may be omitted (RFC 7515 §4.1.9).
func MediaType(typ string) string {
	typ = strings.ToLower(typ)
	if rest, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return typ
}

// Payload decodes the payload. It must not be trusted before [Set.Verify] has
// accepted j.
func (j *JWS) Payload() ([]byte, error) { return decode(j.payload) }

// UnverifiedIssuer returns the iss of the unverified payload, "" if there is none.
// It may choose whose keys are tried, and nothing else.
func (j *JWS) UnverifiedIssuer() string {
	issuer, _ := strictjson.String(j.unverified("iss"))
	return issuer
}

// unverifiedIssuedAt returns the iat of the unverified payload.
func (j *JWS) unverifiedIssuedAt() (time.Time, bool) {
	issuedAt, err := strictjson.NumericDate(j.unverified("iat"))
	return issuedAt, err == nil
}

// unverified returns the JSON value of a claim of the unverified payload, "" if
// there is none.
func (j *JWS) unverified(claim string) string {
	payload, err := j.Payload()
	if err != nil {
		return ""
	}
	members, _ := strictjson.Object(string(payload)) // empty, if the payload is not an object
	value, _ := strictjson.Lookup(members, claim)
	return value
}

// decode decodes base64url without padding. It accepts only the canonical encoding
// of each value.
func decode(segment string) ([]byte, error) {
	if strings.ContainsAny(segment, "\r\n") { // encoding/base64 skips them
		return nil, ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, ErrMalformed
	}
	return raw, nil
}
