package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/MicahParks/jwkset"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Bounds of an RSA modulus. A shorter modulus can be factored (RFC 7518 §3.3); with
// a longer one, the check of one signature takes too much time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// maxTried is how many keys are tried for a token. More than one fits only if the
// token names no key, or if keys share a name.
const maxTried = 4

// key is a public key of a set, with its permitted uses.
type key struct {
	jwk        jwkset.JWK
	kid        string
	algorithms []string    // the algorithms that the key can be used with
	identity   string      // all published members that matter here
	private    bool        // it was published with its private members
	withdrawn  atomic.Bool // no longer in the set
}

func (k *key) isLive() bool { return !k.withdrawn.Load() }

var errNotSet = errors.New("not a JWK Set within bounds")

// parsedSet is a JWK Set: its usable keys, each once, and counts for the Event.
type parsedSet struct {
	keys             []*key
	skipped, private int // as in Event
}

func (p *parsedSet) event() Event {
	return Event{Keys: len(p.keys), Skipped: p.skipped, Private: p.private}
}

// parseSet reads a JWK Set (RFC 7517 §5). It skips and counts the members that are
// weak, broken, or not keys for verifying signatures: they must not make the good
// keys unusable.
func parseSet(doc []byte, maxKeys int) (*parsedSet, error) {
	members, err := strictjson.Object(string(doc))
	if err != nil {
		return nil, errNotSet
	}
	value, ok := strictjson.Lookup(members, "keys")
	if !ok {
		return nil, errNotSet
	}
	elements, err := strictjson.Array(value)
	if err != nil || len(elements) > maxKeys {
		return nil, errNotSet
	}
	read, seen := &parsedSet{}, map[string]bool{}
	for _, e := range elements {
		k, err := parseKey(e)
		if err != nil {
			read.skipped++
			continue
		}
		if k.private {
			read.private++
		}
		if !seen[k.identity] {
			seen[k.identity] = true
			read.keys = append(read.keys, k)
		}
	}
	return read, nil
}

var errNotUsable = errors.New("not a usable verification key")

// parseKey reads a JWK (RFC 7517 §4) as a key that verifies signatures. It does not
// use private members. It uses a certificate only to refuse a key that the
// certificate contradicts.
func parseKey(raw string) (*key, error) {
	members, err := strictjson.Object(raw)
	if err != nil {
		return nil, err
	}
	p := jwkReader{members: members}
	m := jwkset.JWKMarshal{
		KTY: jwkset.KTY(p.text("kty")), CRV: jwkset.CRV(p.text("crv")), KID: p.text("kid"),
		N: p.number("n"), E: p.number("e"), X: p.number("x"), Y: p.number("y"),
	}
	if !p.isForVerifying() || p.err != nil {
		return nil, errNotUsable
	}
	// jwkset sees only the members in m, so it reads a public key of the kind kty.
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil || !isStrong(jwk.Key(), m) {
		return nil, errNotUsable
	}
	if x5c, ok := strictjson.Lookup(members, "x5c"); ok && contradicts(x5c, jwk.Key()) {
		return nil, errNotUsable
	}
	k := &key{jwk: jwk, kid: m.KID, private: p.private(), algorithms: algorithmsFor(string(m.KTY), string(m.CRV), p.text("alg"))}
	if len(k.algorithms) == 0 {
		return nil, errNotUsable
	}
	k.identity = strings.Join(append([]string{m.KID, string(m.KTY), string(m.CRV), m.N, m.E, m.X, m.Y}, k.algorithms...), "\x00")
	return k, nil
}

// jwkReader reads the members of a JWK. err is set once a member was wrong.
type jwkReader struct {
	members []strictjson.Member
	err     error
}

// text returns a member that must be a string, "" if it is absent.
func (p *jwkReader) text(name string) string {
	value, ok := strictjson.Lookup(p.members, name)
	if !ok {
		return ""
	}
	s, err := strictjson.String(value)
	if err != nil {
		p.err = err
	}
	return s
}

// number returns a member that must be canonical base64url, "" if it is absent.
func (p *jwkReader) number(name string) string {
	s := p.text(name)
	if _, err := decode(s); err != nil {
		p.err = err
	}
	return s
}

// private reports whether the JWK has a secret part of the key (RFC 7518 §6.2.2,
// §6.3.2). One prime of an RSA key is enough to compute the rest.
func (p *jwkReader) private() bool {
	for _, name := range []string{"d", "p", "q"} {
		value, _ := strictjson.Lookup(p.members, name)
		if s, err := strictjson.String(value); err == nil && s != "" {
			return true
		}
	}
	return false
}

// isForVerifying reports whether use, if present, is sig, and key_ops, if present,
// contains verify (RFC 7517 §4.2, §4.3).
func (p *jwkReader) isForVerifying() bool {
	if use := p.text("use"); use != "" && use != "sig" {
		return false
	}
	value, ok := strictjson.Lookup(p.members, "key_ops")
	if !ok {
		return true
	}
	ops, err := strictjson.Strings(value)
	return err == nil && slices.Contains(ops, "verify")
}

// algorithmsFor returns the algorithms that a key can be used with: the one that
// its alg names, or, without an alg, all that its kind of key fits.
func algorithmsFor(kty, crv, alg string) []string {
	if alg == "Ed25519" {
		alg = "EdDSA" // two names of one algorithm
	}
	var names []string
	for _, name := range Algorithms() {
		a := algorithms[name]
		matches := alg == "" || alg == name || alg == "EdDSA" && name == "Ed25519"
		if matches && a.kty == kty && (a.crv == "" || a.crv == crv) {
			names = append(names, name)
		}
	}
	return names
}

// isStrong reports whether only the owner of a private key can sign for public. jwkset
// has already checked that m holds the parameters of the key, and that a point is
// on its curve.
func isStrong(public any, m jwkset.JWKMarshal) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return bits >= minRSABits && bits <= maxRSABits && k.E >= 3 && k.E%2 == 1 && exponentFits(m.E)
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8 // exactly this many octets (RFC 7518 §6.2.1.2)
		return decodedLen(m.X) == size && decodedLen(m.Y) == size
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && !hasSmallOrder(k)
	default:
		return false
	}
}

// exponentFits reports whether e has at most four octets: enough for every exponent
// in use, and too few for jwkset to have truncated it to an int.
func exponentFits(e string) bool { return decodedLen(e) <= 4 }

func decodedLen(segment string) int {
	raw, _ := decode(segment) // it was decoded before
	return len(raw)
}

// hasSmallOrder reports whether anyone can sign under public without a private key.
// That is so for the points of order 1, 2, 4 and 8, in each encoding that
// crypto/ed25519 accepts. The sign bit makes no difference.
func hasSmallOrder(public ed25519.PublicKey) bool {
	var y [ed25519.PublicKeySize]byte
	copy(y[:], public)
	y[31] &= 0x7F
	return slices.Contains(smallOrderPoints, string(y[:]))
}

var smallOrderPoints = []string{
	"\x00" + strings.Repeat("\x00", 30) + "\x00", // order 4
	"\x01" + strings.Repeat("\x00", 30) + "\x00", // order 1
	"\xec" + strings.Repeat("\xff", 30) + "\x7f", // p-1: order 2
	"\xed" + strings.Repeat("\xff", 30) + "\x7f", // p, which is 0 again
	"\xee" + strings.Repeat("\xff", 30) + "\x7f", // p+1, which is 1 again
	"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05", // order 8
	"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a", // order 8
}

// snapshot is one state of a key set. It is immutable, but its keys can be marked
// as withdrawn.
type snapshot struct {
	keys []*key
	kids map[string]bool
	// candidates are the keys for a kid and an alg, or, under the kid "", the keys
	// for a token without a kid.
	candidates map[headerKey]*candidates
}

// headerKey is the part of a JWS header that selects keys.
type headerKey struct{ kid, alg string }

type candidates struct {
	keys []*key
	jwks []jwkset.JWK // of keys, as keyfunc's storage hands them out
}

func newSnapshot(keys []*key) *snapshot {
	s := &snapshot{keys: keys, kids: map[string]bool{}, candidates: map[headerKey]*candidates{}}
	for _, k := range keys {
		s.kids[k.kid] = true
		for _, alg := range k.algorithms {
			s.add(headerKey{"", alg}, k)
			if k.kid != "" {
				s.add(headerKey{k.kid, alg}, k)
			}
		}
	}
	return s
}

func (s *snapshot) add(h headerKey, k *key) {
	c := s.candidates[h]
	if c == nil {
		c = &candidates{}
		s.candidates[h] = c
	}
	if len(c.keys) < maxTried {
		c.keys = append(c.keys, k)
		c.jwks = append(c.jwks, k.jwk)
	}
}

// candidatesFor returns the keys to try, nil if there are none.
func (s *snapshot) candidatesFor(kid, alg string) *candidates {
	if s == nil {
		return nil
	}
	return s.candidates[headerKey{kid, alg}]
}

// hasKeyID reports whether one of the keys has the name kid.
func (s *snapshot) hasKeyID(kid string) bool { return s != nil && kid != "" && s.kids[kid] }

// replaceWith returns the snapshot that follows s. Keys that are still published
// stay the same objects; keys that are not are marked as withdrawn.
func (s *snapshot) replaceWith(keys []*key) *snapshot {
	if s == nil {
		return newSnapshot(keys)
	}
	old := make(map[string]*key, len(s.keys))
	for _, k := range s.keys {
		old[k.identity] = k
	}
	for i, k := range keys {
		if same := old[k.identity]; same != nil {
			keys[i] = same
			delete(old, k.identity)
		}
	}
	next := newSnapshot(keys)
	for _, k := range old {
		k.withdrawn.Store(true)
	}
	return next
}

// withdraw marks all keys as withdrawn.
func (s *snapshot) withdraw() {
	for _, k := range s.keys {
		k.withdrawn.Store(true)
	}
}
