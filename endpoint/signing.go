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

// Signing configures how answers are signed (RFC 9701). It is printed, logged and
// encoded as the name of its type, except with the verbs %p and %w, for which
// package fmt calls no method and prints the fields (go vet reports both).
type Signing struct {
	_ struct{}

	// Issuer is the iss of the answers: the issuer in whose metadata the clients
	// find the key. An https URL, or http on loopback. Required.
	Issuer string
	// Key signs: a private key, or one that a KMS or an HSM keeps. It must be safe
	// for concurrent use. Required.
	Key crypto.Signer
	// Algorithm is the alg: RS256, PS256, ES256, EdDSA and so on. Required.
	Algorithm string
	// KeyID is the kid under which the clients know the key. Default: none.
	KeyID string
}

// Format writes the name of the type: package fmt would print the key.
func (Signing) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "endpoint.Signing") }

// MarshalText returns the name of the type: encoding/json would write the key.
func (Signing) MarshalText() ([]byte, error) { return []byte("endpoint.Signing"), nil }

const (
	signedMediaType = "application/token-introspection+jwt" // RFC 9701 §4
	signedType      = "token-introspection+jwt"             // the typ, RFC 9701 §5
	minRSABits      = 2048                                  // RFC 7518 §3.3
)

func (s *Signing) check(m *mistakes) {
	if _, err := fetch.CheckBaseURL(s.Issuer); err != nil {
		m.add("Signing: Issuer: want an https URL without a query")
	}
	if _, err := s.method(); err != nil {
		m.add("Signing: %w", err)
	}
}

// method is how Key signs. A key that was never filled panics when it is asked
// for its public half, and a configuration must not.
func (s *Signing) method() (sign func([]byte) ([]byte, error), err error) {
	defer func() {
		if recover() != nil {
			sign, err = nil, errors.New("the Key is none that can sign")
		}
	}()
	if sign, err = jose.Signer(s.Algorithm, s.Key); err != nil {
		return nil, errors.New("the Key is missing, or does not sign with the Algorithm")
	}
	if public, ok := s.Key.Public().(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
		return nil, fmt.Errorf("the Key has less than %d bits", minRSABits)
	}
	return sign, nil
}

// signer makes the reply that tells clientID members.
type signer func(clientID string, members map[string]any, now time.Time) (reply, error)

func (s *Signing) signer() (signer, error) {
	sign, err := s.method()
	if err != nil {
		return nil, err
	}
	issuer, header := s.Issuer, jwsHeader{Algorithm: s.Algorithm, KeyID: s.KeyID, Type: signedType}
	return func(clientID string, members map[string]any, now time.Time) (reply, error) {
		// No sub and no exp: they would make it look like an access token (RFC 9701 §5, §8.1).
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

// compact is [jose.Sign] with a typ, which this kind of JWS must have.
func signCompact(header jwsHeader, claims map[string]any, sign func([]byte) ([]byte, error)) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	h, _ := json.Marshal(header) // strings always marshal
	c, err := json.Marshal(claims)
	if err != nil {
		return "", serverError(fmt.Errorf("the answer is not JSON: %w", err))
	}
	signed := encode(h) + "." + encode(c)
	signature, err := sign([]byte(signed))
	if err != nil { // a key that is kept elsewhere may be out of reach
		return "", unavailable(fmt.Errorf("cannot sign the answer: %w", err))
	}
	return signed + "." + encode(signature), nil
}
