package localjwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// certify returns a self-signed certificate for key, as x5c holds it.
func certify(t *testing.T, public crypto.PublicKey, signer crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(-time.Hour)} // its time does not matter
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	require.NoError(t, err)
	return der
}

// publicKey reads the key that as publishes.
func publicKey(t *testing.T, as *oauthztest.Server) crypto.PublicKey {
	t.Helper()
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal(as.JWKS(), &set))
	k := set.Keys[0]
	number := func(name string) *big.Int {
		raw, err := base64.RawURLEncoding.DecodeString(k[name])
		require.NoError(t, err)
		return new(big.Int).SetBytes(raw)
	}
	switch k["kty"] {
	case "RSA":
		return &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	case "EC":
		point := append([]byte{4}, number("x").FillBytes(make([]byte, 32))...)
		point = append(point, number("y").FillBytes(make([]byte, 32))...)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		require.NoError(t, err)
		return key
	default:
		return ed25519.PublicKey(number("x").FillBytes(make([]byte, ed25519.PublicKeySize)))
	}
}

// certified is an x5c, and the answer to a token of its key.
type certified struct {
	x5c  any
	want answer
}

// A key that its own certificate contradicts is not the issuer's, or the
// certificate is not (RFC 7517 §4.7). It takes no other key down.
func TestKeyThatItsCertificateContradictsIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		as := server(t, oauthztest.Config{Algorithm: alg})
		other := server(t, oauthztest.Config{Algorithm: "ES384"})
		other.SetKeyMember(other.Keys()[0], "kid", "other")
		for name, tt := range certificates(t, publicKey(t, as)) {
			t.Run(alg+" "+name, func(t *testing.T) {
				as.SetKeyMember("key-1", "x5c", tt.x5c)
				// Another key stands beside it, so that the set has a usable one.
				both := strings.TrimSuffix(string(as.JWKS()), "]}") + "," + string(other.JWKS())[len(`{"keys":[`):]
				assert.Equal(t, tt.want, ask(t, fixedKeys(t, as, both), as.Mint(nil)))
			})
		}
	}
}

// certificates are those to publish with the key own.
func certificates(t *testing.T, own crypto.PublicKey) map[string]certified {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	match, another, curve := certify(t, own, signer), certify(t, &signer.PublicKey, signer), certify(t, &p384.PublicKey, signer)
	cases := map[string]certified{
		"its own":                  {[]string{b64std(match)}, ok},
		"its own, and a chain":     {[]string{b64std(match), b64std(another)}, ok},
		"its own, negative serial": {[]string{b64std(negativeSerial(t, match))}, ok},
		"another key":              {[]string{b64std(another)}, refused},
		"another curve":            {[]string{b64std(curve)}, refused},
		"a curve that Go lacks":    {[]string{b64std(unknownCurve(t, another))}, refused},
		"its own second":           {[]string{b64std(another), b64std(match)}, refused},
		"none":                     {[]string{}, ok},
		"not a certificate":        {[]string{"AAAA"}, ok}, // contradicts nothing
		"not base64":               {[]string{"%"}, ok},
		"not an array":             {"x", ok},
	}
	if key, isRSA := own.(*rsa.PublicKey); isRSA {
		n := &rsa.PublicKey{N: new(big.Int).Add(key.N, big.NewInt(2)), E: key.E}
		cases["another e"] = certified{[]string{b64std(certify(t, &rsa.PublicKey{N: key.N, E: 3}, signer))}, refused}
		cases["another n"] = certified{[]string{b64std(certify(t, n, signer))}, refused}
		cases["certified for PSS"] = certified{[]string{b64std(forPSS(t, match))}, ok}
	}
	return cases
}

func b64std(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// replaceOnce replaces bytes of a certificate by others of the same length.
func replaceOnce(t *testing.T, der, old, new []byte) []byte {
	t.Helper()
	require.Len(t, new, len(old))
	require.Contains(t, string(der), string(old))
	return bytes.Replace(der, old, new, 1)
}

// negativeSerial is der with the serial -1, which crypto/x509 refuses to read.
func negativeSerial(t *testing.T, der []byte) []byte {
	t.Helper()
	got := replaceOnce(t, der, []byte{2, 1, 1}, []byte{2, 1, 0xff})
	_, err := x509.ParseCertificate(got)
	require.Error(t, err)
	return got
}

// unknownCurve is der, a certificate on P-256, with the name of a curve that
// crypto/x509 does not know.
func unknownCurve(t *testing.T, der []byte) []byte {
	t.Helper()
	p256, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	require.NoError(t, err)
	unknown, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 9})
	require.NoError(t, err)
	return replaceOnce(t, der, p256, unknown)
}

// forPSS is der with the identifier of RSASSA-PSS (RFC 4055 §1.2) for its key.
func forPSS(t *testing.T, der []byte) []byte {
	t.Helper()
	plain, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1})
	require.NoError(t, err)
	pss, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10})
	require.NoError(t, err)
	return replaceOnce(t, der, plain, pss)
}

const privateKeysLogged = "holds private keys"

// A key that is published with its private members verifies, and is logged once
// until it is gone.
func TestPublishedPrivateKeysAreLoggedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var logged lockedBuffer
		set := func(r *http.Request) *http.Response {
			tag := fmt.Sprintf(`"%x"`, sha256.Sum256(as.JWKS()))
			if r.Header.Get("If-None-Match") == tag {
				return reply(304, "")
			}
			return reply(200, string(as.JWKS()), "ETag", tag)
		}
		as.answer(set)
		warnings := func() int { return strings.Count(logged.String(), privateKeysLogged) }
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Hour)
		require.Zero(t, warnings())
		as.SetKeyMember("key-1", "d", "c2VjcmV0")
		pass(time.Hour)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		require.Equal(t, 1, warnings(), "for four fetches")
		as.answer(fixed(500, ""))
		pass(time.Hour)
		as.answer(set)
		pass(time.Hour)
		as.Rotate()
		pass(time.Hour)
		require.Equal(t, 1, warnings())
		assert.NotContains(t, logged.String(), "c2VjcmV0")

		as.SetKeyMember("key-1", "d", oauthztest.Absent)
		pass(time.Hour)
		as.SetKeyMember("key-1", "d", "c2VjcmV0")
		pass(time.Hour)
		assert.Equal(t, 2, warnings())
	})
}

// The same of a fixed set, whichever private member it is (RFC 7518 §6.2.2, §6.3.2).
func TestPrivateKeysOfAFixedSetAreLogged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		member string
		value  any
		want   int
	}{
		{"d", "c2VjcmV0", 1}, {"p", "c2VjcmV0", 1}, {"q", "c2VjcmV0", 1}, {"d", "", 0}, {"d", nil, 0}, {"k", "c2VjcmV0", 0},
	} {
		as := server(t, oauthztest.Config{Algorithm: "ES256"})
		as.SetKeyMember(as.Keys()[0], tt.member, tt.value)
		var logged lockedBuffer
		in, err := localjwt.New(t.Context(), localjwt.Config{
			Issuer: as.Issuer(), Audience: []string{audience}, JWKS: as.JWKS(), Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		require.NoError(t, err)
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		assert.Equal(t, tt.want, strings.Count(logged.String(), privateKeysLogged), tt)
	}
}
