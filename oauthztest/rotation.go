package oauthztest

import (
	"slices"
)

// Rotate makes a new key of [Config.Algorithm], publishes it beside the older ones and mints with it from now on. It
// returns the new key's kid. (A key for another algorithm, made by [WithAlgorithm], stays in use.)
func (s *Server) Rotate() (kid string) { return s.keys.rotate(true) }

// RotateUnpublished is [Server.Rotate] by a server that signs too early: the new key is in the JWKS only after
// [Server.Publish].
func (s *Server) RotateUnpublished() (kid string) { return s.keys.rotate(false) }

// Publish puts a key into the JWKS, after those that are there. For one that is there it does nothing.
func (s *Server) Publish(kid string) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known(kid); !slices.Contains(k.published, kid) {
		k.published = append(k.published, kid)
	}
}

// Withdraw takes a key out of the JWKS: tokens that it signed must soon be refused. If it is the key in use it is still
// minted with, until [Server.Rotate].
func (s *Server) Withdraw(kid string) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known(kid)
	k.published = slices.DeleteFunc(k.published, func(published string) bool { return published == kid })
}

// Keys returns the kids in the JWKS, in its order. Keys are called "key-1", "key-2" and so on, as they are made.
func (s *Server) Keys() []string {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current(k.algorithm)
	return slices.Clone(k.published)
}

// SetKeyMember sets one member of a key in the JWKS (RFC 7517 §4), or leaves it out if value is [Absent]: a key without
// "alg", with "use" of "enc", with "key_ops", or under another "kid". Minting does not look at it.
func (s *Server) SetKeyMember(kid, member string, value any) {
	k := &s.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.known(kid)
	key.jwk = filled(key.jwk, map[string]any{member: value})
}

// JWKS returns the JWK Set (RFC 7517 §5) as it is served now: also a fixed key set for a test that needs no network.
func (s *Server) JWKS() []byte { return s.keys.document() }

// SetJWKS serves exactly these bytes as the JWK Set, whatever they are. With nil the server's own keys are served again.
func (s *Server) SetJWKS(body []byte) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.override = slices.Clone(body)
}

// SetCacheControl sets the Cache-Control header of the JWKS endpoint (RFC 9111 §5.2). Default: "", none is sent.
func (s *Server) SetCacheControl(value string) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.cacheControl = value
}
