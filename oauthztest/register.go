package oauthztest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// A register holds the tokens that a server minted, by hash, which is short: a benchmark may mint a million.
type register struct {
	mu     sync.Mutex
	tokens map[[sha256.Size]byte]registered
}

type registered struct {
	claims  []byte // of an opaque token; nil for a JWT, which contains its claims
	revoked bool
}

func (g *register) add(token string, claims []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tokens == nil {
		g.tokens = map[[sha256.Size]byte]registered{}
	}
	g.tokens[sha256.Sum256([]byte(token))] = registered{claims: claims}
}

func (g *register) revoke(token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hash := sha256.Sum256([]byte(token))
	if known, ok := g.tokens[hash]; ok {
		known.revoked = true
		g.tokens[hash] = known
	}
}

// claims returns the claims of a token. It returns false if the token is unknown or revoked, or if its claims are not a JSON
// object.
func (g *register) claims(token string) (map[string]json.RawMessage, bool) {
	g.mu.Lock()
	known, ok := g.tokens[sha256.Sum256([]byte(token))]
	g.mu.Unlock()
	if !ok || known.revoked {
		return nil, false
	}
	raw := known.claims
	if raw == nil {
		raw, _ = base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	}
	var claims map[string]json.RawMessage
	err := json.Unmarshal(raw, &claims)
	return claims, err == nil && claims != nil
}

// introspection returns the introspection response for token (RFC 7662 §2.2).
func (s *Server) introspection(token string) map[string]any {
	claims, ok := s.tokens.claims(token)
	if !ok || !inTime(claims, s.cfg.Now()) || refresh(claims) {
		return map[string]any{"active": false}
	}
	answer := map[string]any{"active": true, "token_type": "Bearer"}
	for name, value := range claims {
		answer[name] = value
	}
	return answer
}

// inTime reports whether now is before exp and not before nbf. A claim that is not a number is ignored.
func inTime(claims map[string]json.RawMessage, now time.Time) bool {
	seconds := float64(now.UnixMilli()) / 1000
	exp, nbf := numeric(claims["exp"]), numeric(claims["nbf"])
	return (exp == nil || seconds < *exp) && (nbf == nil || seconds >= *nbf)
}

func numeric(raw json.RawMessage) *float64 {
	var number *float64
	if json.Unmarshal(raw, &number) != nil {
		return nil
	}
	return number
}

// refresh reports whether the claims are those of a refresh token, by the claims with which real servers mark one. A test of
// a server that reports a refresh token as active sets the claim "active" as well.
func refresh(claims map[string]json.RawMessage) bool {
	_, overruled := claims["active"]
	return !overruled && (string(claims["token_type"]) == `"refresh_token"` || string(claims["token_use"]) == `"refresh"`)
}
