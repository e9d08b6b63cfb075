package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// mutualTLS is a provider with an https endpoint for introspection, and the certificates of its clients.
type mutualTLS struct {
	*provider
	endpoint                                      string
	ca, ofCA, otherName, selfSigned, unregistered *certificate
}

func startMutualTLS(t *testing.T) *mutualTLS {
	t.Helper()
	ca := newCertificate(t, "ca.example", nil)
	server := newCertificate(t, "127.0.0.1", ca)
	ofCA, otherName := newCertificate(t, "reports.example", ca), newCertificate(t, "other.example", ca)
	selfSigned, unregistered := newCertificate(t, "self.example", nil), newCertificate(t, "self.example", nil)
	p := newProvider(t,
		introspecting("of-ca", "tls_client_auth", clientMetadata{"tls_client_auth_san_dns": "reports.example"}),
		introspecting("self-signed", "self_signed_tls_client_auth", clientMetadata{
			"jwks": map[string]any{"keys": []any{selfSigned.jwk(t)}},
		}),
	)
	endpoint := p.listenTLS(t, server, ca)
	p.start(t)
	return &mutualTLS{p, endpoint, ca, ofCA, otherName, selfSigned, unregistered}
}

// config returns a configuration of client, which has the certificate own, or none.
func (p *mutualTLS) config(t *testing.T, client string, own *certificate) remote.Config {
	t.Helper()
	cfg := asReportsAPI(p.provider)
	cfg.Endpoint, cfg.Auth, cfg.HTTPClient = p.endpoint, remote.None(client), own.client(t, p.ca)
	return cfg
}

type mutualTLSTest struct {
	name   string
	client string
	own    *certificate
}

// TestOIDCProviderMutualTLS authenticates with a client certificate (RFC 8705 §2): one of a CA that the server trusts, and
// one that is itself registered.
func TestOIDCProviderMutualTLS(t *testing.T) {
	t.Parallel()
	p := startMutualTLS(t)

	for _, tt := range []mutualTLSTest{
		{"tls_client_auth", "of-ca", p.ofCA},
		{"self_signed_tls_client_auth", "self-signed", p.selfSigned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newIntrospectingAPI(t, p.config(t, tt.client, tt.own))
			assertServed(t, a.api, p.provider, "RS256", p.mustMint(t, "RS256", reports, "orders:read"))
			a.assertRefused(t, invalidToken, p.mustMint(t, "RS256", archive, "orders:read"))
			a.assertRefused(t, invalidToken, "no-token-of-this-server")
		})
	}

	for _, tt := range []mutualTLSTest{
		{"no certificate", "of-ca", nil},
		{"certificate of the CA for another name", "of-ca", p.otherName},
		{"certificate of no CA", "of-ca", p.selfSigned},
		{"no self-signed certificate", "self-signed", nil},
		{"certificate that is not registered", "self-signed", p.unregistered},
		{"unknown client", "nobody", p.ofCA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newIntrospectingAPI(t, p.config(t, tt.client, tt.own))
			assertUnavailable(t, a.mustGet(t, p.mustMint(t, "RS256", reports, "orders:read")))
			assert.Zero(t, a.served.Load())
		})
	}

	t.Run("server that nobody vouches for", func(t *testing.T) {
		cfg := p.config(t, "of-ca", p.ofCA)
		cfg.HTTPClient = p.ofCA.client(t, newCertificate(t, "another-ca.example", nil))
		a := newIntrospectingAPI(t, cfg)
		assertUnavailable(t, a.mustGet(t, p.mustMint(t, "RS256", reports, "orders:read")))
	})
}

// listenTLS makes p listen on https too after its start, and returns the introspection endpoint there. Discovery cannot be
// used: the metadata name the endpoints of the requested host, but the issuer is always the http one.
func (p *provider) listenTLS(t *testing.T, own, ca *certificate) string {
	t.Helper()
	port := freePort(t)
	p.tlsFile = filepath.Join(filepath.Dir(p.jwksFile), "tls.json")
	writeJSON(t, p.tlsFile, map[string]any{
		"port": port, "key": own.keyPEM(t), "cert": own.certificatePEM(), "ca": ca.certificatePEM(),
	})
	return fmt.Sprintf("https://127.0.0.1:%d/token/introspection", port)
}

// A certificate has its key too.
type certificate struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// newCertificate makes a certificate for a name or an IP address: one that ca signs, or a self-signed one that may sign
// others.
func newCertificate(t *testing.T, name string, ca *certificate) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.Certificate, ca.key
	} else {
		template.IsCA, template.BasicConstraintsValid, template.ExtKeyUsage = true, true, nil
		template.KeyUsage |= x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &certificate{made, key}
}

func (c *certificate) certificatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (c *certificate) keyPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// jwk returns a certificate in the form in which it is registered (RFC 8705 §2.2.2): a key with its x5c (RFC 7517 §4.7).
func (c *certificate) jwk(t *testing.T) map[string]any {
	t.Helper()
	jwk := map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(c.Raw)}}
	for name, value := range ecJWK(t, c.key).public() {
		jwk[name] = value
	}
	return jwk
}

// client returns the HTTP client of an API: it sends its certificate, if it has one, and trusts servers of ca.
func (c *certificate) client(t *testing.T, ca *certificate) *http.Client {
	t.Helper()
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.Certificate)
	config := &tls.Config{RootCAs: trusted}
	if c != nil {
		// Not Certificates: net/http sends those only to a server that names their CA, and a self-signed one has no CA.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: c.key}, nil
		}
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
