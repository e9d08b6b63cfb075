package endpoint

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
)

// Signing configures signed answers (RFC 9701). When it is printed, logged or
// encoded, the name of its type is written. The verbs %p and %w are exceptions:
// package fmt then calls no method and prints the fields (go vet reports both).
type Signing struct {
	_ struct{}

	// Issuer is the iss of the answers. Clients find the key in the metadata of this
	// issuer. An https URL without a query, or http on loopback. Required.
	Issuer string
	// Key signs the answers: a private key, or a key that a KMS or an HSM holds. It
	// must be safe for concurrent use. Required.
	Key crypto.Signer
	// Algorithm is the alg of the answers: RS256, PS256, ES256, EdDSA and so on. Required.
	Algorithm string
	// KeyID is the kid under which clients find the key. Default: none.
	KeyID string
}

// Format writes the name of the type. Without it, package fmt would print the key.
func (Signing) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "endpoint.Signing") }

// MarshalText returns the name of the type. Without it, encoding/json would write the key.
func (Signing) MarshalText() ([]byte, error) { return []byte("endpoint.Signing"), nil }

const (
	signedMediaType = "application/token-introspection+jwt" // RFC 9701 §4
	signedType      = "token-introspection+jwt"             // the typ, RFC 9701 §5
	minRSABits      = 2048                                  // RFC 7518 §3.3
)

func (s *Signing) check(m *mistakes) {
	if _, err := fetch.CheckBaseURL(s.Issuer); err != nil {
		m.add("Signing.Issuer: want an https URL without a query (http only on loopback)")
	}
	if _, err := s.method(); err != nil {
		m.add("Signing.Key: %w", err)
	}
}

// method returns the function that signs with Key. The Public method of a zero key
// panics; method returns an error instead, because constructors must not panic.
func (s *Signing) method() (sign func([]byte) ([]byte, error), err error) {
	defer func() {
		if recover() != nil {
			sign, err = nil, errors.New("the key cannot sign")
		}
	}()
	if sign, err = jose.Signer(s.Algorithm, s.Key); err != nil {
		return nil, errors.New("the key is missing, or does not sign with Algorithm")
	}
	if public, ok := s.Key.Public().(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
		return nil, fmt.Errorf("the key has less than %d bits", minRSABits)
	}
	return sign, nil
}

// signer returns the signed reply for clientID that contains members.
type signer func(clientID string, members map[string]any, now time.Time) (reply, error)

func (s *Signing) signer() (signer, error) {
	sign, err := s.method()
	if err != nil {
		return nil, err
	}
	issuer, header := s.Issuer, jwsHeader{Algorithm: s.Algorithm, KeyID: s.KeyID, Type: signedType}
	return func(clientID string, members map[string]any, now time.Time) (reply, error) {
		// The answer has no sub and no exp, because with them it would look like an access token (RFC 9701 §5, §8.1).
		jws, err := signCompact(header, map[string]any{
			"iss": issuer, "aud": clientID, "iat": now.Unix(), "token_introspection": members,
		}, sign)
		return reply{http.StatusOK, signedMediaType, []byte(jws)}, err
	}, nil
}

type jwsHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid,omitempty"`
	Type      string `json:"typ"`
}

// signCompact works like [jose.Sign], and also sets the typ that RFC 9701 §5 requires.
func signCompact(header jwsHeader, claims map[string]any, sign func([]byte) ([]byte, error)) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	h, _ := json.Marshal(header) // strings always marshal
	c, err := json.Marshal(claims)
	if err != nil {
		return "", serverError(fmt.Errorf("the answer is not JSON: %w", err))
	}
	signed := encode(h) + "." + encode(c)
	signature, err := sign([]byte(signed))
	if err != nil { // a KMS or an HSM may be unreachable
		return "", unavailable(fmt.Errorf("cannot sign the answer: %w", err))
	}
	return signed + "." + encode(signature), nil
}
