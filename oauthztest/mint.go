package oauthztest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Claims are the claims of a token, by name: anything that is JSON. A [time.Time] becomes a NumericDate (RFC 7519 §2), and
// [Absent] leaves out a claim that would be there by default.
type Claims map[string]any

// Absent, in place of a value, says that a claim, a header parameter or a member of a key is left out.
const Absent = absent(0)

type absent int

// A MintOption changes how [Server.Mint] makes a token, beyond what it claims.
type MintOption func(*minting)

type minting struct {
	kid, algorithm string
	header         map[string]any
	rawHeader      []byte
	rawClaims      []byte
}

// WithHeader sets a header parameter (RFC 7515 §4.1), or leaves it out if value is [Absent]. The default ones are alg, kid
// and typ. It changes what the token says, not how it is signed: for that there are [WithAlgorithm] and [WithKey].
func WithHeader(name string, value any) MintOption {
	return func(m *minting) { m.header[name] = value }
}

// WithAlgorithm signs with the server's key for a JWS algorithm, any of those of [Config.Algorithm]. If there is none, one
// is made and published: later than a client may have fetched the JWKS.
//
// With [WithKey] it signs with that key, if the key is of a kind that can: under PS256 with a key published for RS256, say.
func WithAlgorithm(alg string) MintOption {
	return func(m *minting) { m.algorithm = alg }
}

// WithKey signs with the key of that kid, be it older, withdrawn or not published yet, and says so in the header.
func WithKey(kid string) MintOption {
	return func(m *minting) { m.kid = kid }
}

// WithRawHeader signs exactly these bytes as the header, whatever they are: to repeat a member, for instance. It takes the
// place of [WithHeader], and of the defaults.
func WithRawHeader(header []byte) MintOption {
	return func(m *minting) { m.rawHeader = header }
}

// WithRawClaims signs exactly these bytes as the payload, whatever they are. They take the place of the claims given to
// [Server.Mint], and of the defaults.
func WithRawClaims(claims []byte) MintOption {
	return func(m *minting) { m.rawClaims = claims }
}

// Mint makes a signed JWT access token (RFC 9068 §2), which the introspection endpoint knows as well. Claims that are not
// given default to
//
//	iss        the server's issuer
//	aud        [Config.Audience]
//	sub        "user-1"
//	client_id  "client-1"
//	iat, exp   now, and in five minutes
//	jti        random
//
// and a header says alg, kid and typ "at+jwt". There is no scope by default. Mint panics if something given is not JSON,
// or names an algorithm or a key that there is not.
func (s *Server) Mint(claims Claims, opts ...MintOption) string {
	m := minting{header: map[string]any{}}
	for _, opt := range opts {
		opt(&m)
	}
	if _, ok := algorithms[m.algorithm]; !ok && m.algorithm != "" {
		panic(fmt.Sprintf("oauthztest: mint: no such algorithm: %q", m.algorithm))
	}
	key := s.keys.pick(m.kid, m.algorithm)
	if m.algorithm == "" {
		m.algorithm = key.algorithm
	}
	header, payload := m.rawHeader, m.rawClaims
	if header == nil {
		header = encoded(filled(map[string]any{"alg": m.algorithm, "kid": key.kid, "typ": "at+jwt"}, m.header))
	}
	if payload == nil {
		payload = encoded(filled(s.defaultClaims(), claims))
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(header) + "." + encode(payload)
	signature, err := algorithms[m.algorithm].method.Sign(signed, key.private)
	must("sign", err)
	token := signed + "." + encode(signature)
	s.tokens.add(token, nil)
	return token
}

// MintOpaque makes a random token that says nothing by itself. The introspection endpoint answers with the claims given,
// the defaults of [Server.Mint], "active" true and "token_type" "Bearer" (RFC 7662 §2.2). A claim given takes the place of
// a default here too, so Claims{"active": "yes"} makes a server that talks nonsense; but a token that is expired or revoked
// is never active.
func (s *Server) MintOpaque(claims Claims) string {
	token := rand.Text()
	s.tokens.add(token, encoded(filled(s.defaultClaims(), claims)))
	return token
}

// Revoke makes a token inactive, as a request to the revocation endpoint does. A JWT says the same as before: only who
// introspects it is told. For what is not a token of this server it does nothing (RFC 7009 §2.2).
func (s *Server) Revoke(token string) { s.tokens.revoke(token) }

func (s *Server) defaultClaims() map[string]any {
	now := s.cfg.Now()
	var audience any = s.cfg.Audience
	if len(s.cfg.Audience) == 1 {
		audience = s.cfg.Audience[0]
	}
	return map[string]any{
		"iss":       s.issuer,
		"aud":       audience,
		"sub":       "user-1",
		"client_id": "client-1",
		"iat":       now,
		"exp":       now.Add(5 * time.Minute),
		"jti":       rand.Text(),
	}
}

// filled is defaults with what is given laid over it, ready to be encoded. It changes neither.
func filled(defaults, given map[string]any) map[string]any {
	merged := maps.Clone(defaults)
	maps.Copy(merged, given)
	for name, value := range merged {
		switch value := value.(type) {
		case absent:
			delete(merged, name)
		case time.Time:
			merged[name] = value.Unix()
		}
	}
	return merged
}

func encoded(members map[string]any) []byte {
	raw, err := json.Marshal(members)
	must("encode", err)
	return raw
}
