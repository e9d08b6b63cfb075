package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/jose"
	"github.com/oauthz/oauthz/oauthztest"
)

// certify returns a certificate for public in DER, signed by signer.
func certify(t *testing.T, public crypto.PublicKey, signer crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(-time.Hour)} // its time does not matter
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	require.NoError(t, err)
	return der
}

// publicKey returns the key that as publishes.
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

// certified is an x5c, and the result of Verify for a token of the key that has it.
type certified struct {
	x5c  any
	want error // of Verify
}

// If a certificate contradicts its key, the key or the certificate is not the
// issuer's (RFC 7517 §4.7). Other keys of the set stay usable.
func TestKeyThatItsCertificateContradictsIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		as := server(t, oauthztest.Config{Algorithm: alg})
		other := server(t, oauthztest.Config{Algorithm: "ES384"})
		other.SetKeyMember(other.Keys()[0], "kid", "other")
		for name, tt := range certificates(t, publicKey(t, as)) {
			t.Run(alg+" "+name, func(t *testing.T) {
				as.SetKeyMember("key-1", "x5c", tt.x5c)
				// Another key is in the set, so that the set has a usable key.
				both := strings.TrimSuffix(string(as.JWKS()), "]}") + "," + string(other.JWKS())[len(`{"keys":[`):]
				set, _, err := jose.NewFixedSet([]byte(both), 2)
				require.NoError(t, err)
				_, err = set.Verify(t.Context(), parse(t, as.Mint(nil)))
				require.ErrorIs(t, err, tt.want)
				_, err = set.Verify(t.Context(), parse(t, other.Mint(nil, oauthztest.WithHeader("kid", "other"))))
				assert.NoError(t, err, "the other key")
			})
		}
	}
}

// certificates returns the values of x5c to publish with the key own.
func certificates(t *testing.T, own crypto.PublicKey) map[string]certified {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	match, another, curve := certify(t, own, signer), certify(t, &signer.PublicKey, signer), certify(t, &p384.PublicKey, signer)
	cases := map[string]certified{
		"its own":                  {[]string{b64std(match)}, nil},
		"its own, and a chain":     {[]string{b64std(match), b64std(another)}, nil},
		"its own, negative serial": {[]string{b64std(negativeSerial(t, match))}, nil},
		"another key":              {[]string{b64std(another)}, jose.ErrKey},
		"another curve":            {[]string{b64std(curve)}, jose.ErrKey},
		"a curve that Go lacks":    {[]string{b64std(unknownCurve(t, another))}, jose.ErrKey},
		"its own second":           {[]string{b64std(another), b64std(match)}, jose.ErrKey},
		"none":                     {[]string{}, nil},
		"not a certificate":        {[]string{"AAAA"}, nil}, // does not contradict the key
		"not base64":               {[]string{"%"}, nil},
		"not an array":             {"x", nil},
	}
	if key, isRSA := own.(*rsa.PublicKey); isRSA {
		n := &rsa.PublicKey{N: new(big.Int).Add(key.N, big.NewInt(2)), E: key.E}
		cases["another e"] = certified{[]string{b64std(certify(t, &rsa.PublicKey{N: key.N, E: 3}, signer))}, jose.ErrKey}
		cases["another n"] = certified{[]string{b64std(certify(t, n, signer))}, jose.ErrKey}
		cases["certified for PSS"] = certified{[]string{b64std(forPSS(t, match))}, nil}
	}
	return cases
}

func b64std(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// replaceOnce replaces bytes of a certificate with other bytes of the same length.
func replaceOnce(t *testing.T, der, old, new []byte) []byte {
	t.Helper()
	require.Len(t, new, len(old))
	require.Contains(t, string(der), string(old))
	return bytes.Replace(der, old, new, 1)
}

// negativeSerial returns der with the serial -1, which crypto/x509 refuses to read.
func negativeSerial(t *testing.T, der []byte) []byte {
	t.Helper()
	got := replaceOnce(t, der, []byte{2, 1, 1}, []byte{2, 1, 0xff})
	_, err := x509.ParseCertificate(got)
	require.Error(t, err)
	return got
}

// unknownCurve returns der, a certificate on P-256, with the name of a curve that
// crypto/x509 does not know.
func unknownCurve(t *testing.T, der []byte) []byte {
	t.Helper()
	p256, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	require.NoError(t, err)
	unknown, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 9})
	require.NoError(t, err)
	return replaceOnce(t, der, p256, unknown)
}

// forPSS returns der with the identifier of RSASSA-PSS (RFC 4055 §1.2) for its key.
func forPSS(t *testing.T, der []byte) []byte {
	t.Helper()
	plain, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1})
	require.NoError(t, err)
	pss, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10})
	require.NoError(t, err)
	return replaceOnce(t, der, plain, pss)
}
