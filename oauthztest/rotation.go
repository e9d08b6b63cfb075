package oauthztest

import (
	"slices"
)

// Rotate makes a new key of [Config.Algorithm], publishes it beside the older ones and signs with it from now on. It returns
// the new key's kid. (A key for another algorithm, made by [WithAlgorithm], stays in use.)
func (s *Server) Rotate() (kid string) { return s.keys.rotate(true) }

// RotateUnpublished rotates as [Server.Rotate] does, but as a server that signs too early: the new key is in the JWKS only
// after [Server.Publish].
func (s *Server) RotateUnpublished() (kid string) { return s.keys.rotate(false) }

// Publish adds a key to the end of the JWKS. If the key is there already, Publish does nothing.
func (s *Server) Publish(kid string) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known(kid); !slices.Contains(k.published, kid) {
		k.published = append(k.published, kid)
	}
}

// Withdraw removes a key from the JWKS: the code under test must soon refuse the tokens that it signed. If it is the key in
// use, the server still signs with it, until [Server.Rotate].
func (s *Server) Withdraw(kid string) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known(kid)
	k.published = slices.DeleteFunc(k.published, func(published string) bool { return published == kid })
}

// Keys returns the kids in the JWKS, in its order. The kids are "key-1", "key-2" and so on, in the order in which the keys
// are made.
func (s *Server) Keys() []string {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current(k.algorithm)
	return slices.Clone(k.published)
}

// SetKeyMember sets one member of a key in the JWKS (RFC 7517 §4), or leaves it out if value is [Absent]: a key without
// "alg", with "use" of "enc", with "key_ops", or with another "kid". Minting ignores it.
func (s *Server) SetKeyMember(kid, member string, value any) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.known(kid)
	key.jwk = filled(key.jwk, map[string]any{member: value})
}

// JWKS returns the JWK Set (RFC 7517 §5) as it is served now. A test without a network can use it as a fixed key set.
func (s *Server) JWKS() []byte { return s.keys.document() }

// SetJWKS makes the server serve exactly these bytes as the JWK Set, even if they are not valid. With nil it serves its own
// keys again.
func (s *Server) SetJWKS(body []byte) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.override = slices.Clone(body)
}

// SetCacheControl sets the Cache-Control header of the JWKS endpoint (RFC 9111 §5.2). Default: "", no header.
func (s *Server) SetCacheControl(value string) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.cacheControl = value
}
