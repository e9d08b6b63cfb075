package oauthztest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Claims are the claims of a token, by name. A value is anything that can be encoded as JSON. A [time.Time] becomes a
// NumericDate (RFC 7519 §2), and [Absent] leaves out a claim that is there by default.
type Claims map[string]any

// Absent, in place of a value, leaves out a claim, a header parameter or a member of a key.
const Absent = absent(0)

type absent int

// A MintOption changes how [Server.Mint] makes a token, apart from the claims.
type MintOption func(*minting)

type minting struct {
	kid, algorithm string
	header         map[string]any
	rawHeader      []byte
	rawClaims      []byte
}

// WithHeader sets a header parameter (RFC 7515 §4.1), or leaves it out if value is [Absent]. The default ones are alg, kid
// and typ. It changes the header, not how the token is signed: for that there are [WithAlgorithm] and [WithKey].
func WithHeader(name string, value any) MintOption {
	return func(m *minting) { m.header[name] = value }
}

// WithAlgorithm signs with the server's key for a JWS algorithm, one of those that [Config.Algorithm] lists. If there is no
// such key, the server makes and publishes one: a client may have fetched the JWKS before that.
//
// With [WithKey] it signs with that key, if the type of the key allows it: for example PS256 with a key published for RS256.
func WithAlgorithm(alg string) MintOption {
	return func(m *minting) { m.algorithm = alg }
}

// WithKey signs with the key of that kid, and puts the kid into the header. The key may be old, withdrawn or not published
// yet.
func WithKey(kid string) MintOption {
	return func(m *minting) { m.kid = kid }
}

// WithRawHeader signs exactly these bytes as the header, even if they are not valid: for example with a repeated member. It
// replaces [WithHeader] and the defaults.
func WithRawHeader(header []byte) MintOption {
	return func(m *minting) { m.rawHeader = header }
}

// WithRawClaims signs exactly these bytes as the payload, even if they are not valid. They replace the claims of
// [Server.Mint] and the defaults.
func WithRawClaims(claims []byte) MintOption {
	return func(m *minting) { m.rawClaims = claims }
}

// Mint returns a signed JWT access token (RFC 9068 §2), which the introspection endpoint knows too. The defaults of the
// claims are
//
//	iss        the server's issuer
//	aud        [Config.Audience]
//	sub        "user-1"
//	client_id  "client-1"
//	iat, exp   now, and in five minutes
//	jti        random
//
// and the header has alg, kid and typ "at+jwt". There is no scope by default. Mint panics if a value cannot be encoded as
// JSON, or if there is no such algorithm or key.
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

// MintOpaque returns a random token without content. The introspection endpoint answers with these claims, the defaults of
// [Server.Mint], "active" true and "token_type" "Bearer" (RFC 7662 §2.2). A claim replaces a default here too, so
// Claims{"active": "yes"} makes the server send an invalid response. A token that is expired or revoked is never active.
func (s *Server) MintOpaque(claims Claims) string {
	token := rand.Text()
	s.tokens.add(token, encoded(filled(s.defaultClaims(), claims)))
	return token
}

// Revoke makes a token inactive, as a request to the revocation endpoint does. A JWT itself does not change: only
// introspection shows that it is revoked. If token is not a token of this server, Revoke does nothing (RFC 7009 §2.2).
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

// filled returns the defaults, replaced by the given members where both have one, ready to be encoded. It changes neither map.
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
