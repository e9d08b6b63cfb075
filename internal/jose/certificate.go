package jose

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// certificate holds the public key of an X.509 certificate (RFC 5280 §4.1), and
// the fields before the key, which must be read to find it. crypto/x509 refuses
// certificates for reasons that do not matter here, such as a negative serial
// number.
type certificate struct {
	TBS struct {
		Version                                                    int `asn1:"optional,explicit,default:0,tag:0"`
		Serial, SignatureAlgorithm, Issuer, Validity, SubjectNames asn1.RawValue
		PublicKey                                                  struct {
			Raw       asn1.RawContent
			Algorithm asn1.RawValue
			Bits      asn1.BitString
		}
	}
	SignatureAlgorithm, Signature asn1.RawValue
}

// contradicts reports whether the first certificate of x5c certifies another key
// than public, which RFC 7517 §4.7 forbids: then the key or the certificate is not
// the issuer's. Certificates have no other use here, so a certificate that cannot
// be read does not contradict the key.
func contradicts(x5c string, public any) bool {
	chain, err := strictjson.Strings(x5c)
	if err != nil || len(chain) == 0 {
		return false
	}
	der, err := base64.StdEncoding.DecodeString(chain[0])
	if err != nil {
		return false
	}
	var c certificate
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		return false
	}
	certified, err := publicKey(&c, public)
	if err != nil { // a key of another kind, or on a curve that crypto/x509 does not know
		return true
	}
	key, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	return !ok || !key.Equal(certified)
}

// publicKey reads the key of c, which should be of the same kind as like. It reads
// an RSA key without its algorithm identifier, because crypto/x509 does not know
// the identifier of a key that is certified for PSS alone.
func publicKey(c *certificate, like any) (crypto.PublicKey, error) {
	if _, ok := like.(*rsa.PublicKey); ok {
		return x509.ParsePKCS1PublicKey(c.TBS.PublicKey.Bits.Bytes)
	}
	return x509.ParsePKIXPublicKey(c.TBS.PublicKey.Raw)
}
