package remote_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// configCase is a change of a valid Config, and the error of New.
type configCase struct {
	name   string
	change func(*remote.Config)
	want   string // "": accepted
}

func casesOfConfig() []configCase {
	const negative = "remote: config: Timeout, MaxConcurrent or MaxAnswerBytes is negative"
	return []configCase{
		{"endpoint over http", func(c *remote.Config) { c.Endpoint = "http://issuer.example" }, "remote: config: Endpoint: want an https URL (http only for loopback)"},
		{"secret in URL", func(c *remote.Config) { c.Endpoint = "https://u:c4n4ry@issuer.example" }, "remote: config: Endpoint: holds credentials"},
		{"issuer over http", func(c *remote.Config) { c.Endpoint, c.Issuer = "", "http://issuer.example" }, "remote: config: Issuer: cannot discover the endpoint, and Endpoint is empty: want an https URL (http only for loopback)"},
		{"both audiences", func(c *remote.Config) { c.InsecureAnyAudience = true }, "remote: config: Audience and InsecureAnyAudience exclude each other"},
		{"empty audience", func(c *remote.Config) { c.Audience = []string{""} }, "remote: config: Audience holds an empty string"},
		{"leeway", func(c *remote.Config) { c.Leeway = time.Hour }, "remote: config: Leeway: 1h0m0s is more than 5m0s"},
		{"negative", func(c *remote.Config) { c.Timeout = -1 }, negative},
		{"concurrency", func(c *remote.Config) { c.MaxConcurrent = -1 }, negative},
		{"bytes", func(c *remote.Config) { c.MaxAnswerBytes = -1 }, negative},
		{"most leeway", func(c *remote.Config) { c.Leeway = oauthz.MaxLeeway }, ""},
		{"own dialect without Auth", func(c *remote.Config) { c.Dialect, c.Auth = dialect{}, nil }, ""},
	}
}

func casesOfConfigAuth(t *testing.T) []configCase {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return []configCase{
		{"basic without a secret", func(c *remote.Config) { c.Auth = remote.Basic("api", "") }, "remote: config: Auth: client id or secret is empty"},
		{"post without an id", func(c *remote.Config) { c.Auth = remote.Post("", "c4n4ry") }, "remote: config: Auth: client id or secret is empty"},
		{"bearer without a source", func(c *remote.Config) { c.Auth = remote.Bearer(nil) }, "remote: config: Auth: bearer source is nil"},
		{"secret jwt without a secret", func(c *remote.Config) { c.Auth = remote.ClientSecretJWT("api", "", "") }, "remote: config: Auth: secret is empty"},
		{"private key jwt without a key", func(c *remote.Config) {
			c.Auth = remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Algorithm: "ES256"})
		}, "remote: config: Auth: PrivateKey.Key is nil"},
		{"private key jwt of another kind", func(c *remote.Config) {
			c.Auth = remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Algorithm: "RS256", Key: key})
		}, `remote: config: Auth: PrivateKey.Key cannot sign with PrivateKey.Algorithm "RS256"`},
		{"assertion without a client id", func(c *remote.Config) { c.Auth = remote.ClientSecretJWT("", "secret", "") }, "remote: config: Auth: client id is empty"},
		{"basic with a colon", func(c *remote.Config) { c.Auth = remote.Basic("a:b", "s") }, ""},
		// RFC 7617 §2: the first colon ends the user id, so a client id must not hold one.
		{"basic, raw, with a colon", func(c *remote.Config) { c.Auth = remote.BasicRaw("a:b", "s") }, "remote: config: Auth: client id holds a colon: use Basic, which encodes it"},
	}
}

func casesOfConfigSigned() []configCase {
	signed := func(c *remote.Config) { c.Issuer, c.Signed = "https://issuer.example", &remote.Signed{Audience: "api"} }
	return []configCase{
		{"signed without an audience", func(c *remote.Config) { c.Signed = &remote.Signed{} }, "remote: config: Signed: Audience is required\nremote: config: Signed: Issuer is required"},
		{"signed", signed, ""},
		{"signed, own dialect", func(c *remote.Config) { signed(c); c.Dialect = dialect{} }, "remote: config: Signed: needs the dialect of RFC 7662"},
		{"signed, keys over http", func(c *remote.Config) { signed(c); c.Signed.JWKSURL = "http://issuer.example" }, "remote: config: Signed: JWKSURL: want an https URL"},
		{"signed, issuer over http", func(c *remote.Config) { signed(c); c.Issuer = "http://issuer.example" }, "remote: config: Signed: cannot discover the keys of Issuer, and JWKSURL is empty"},
		{"signed, age", func(c *remote.Config) { signed(c); c.Signed.MaxAge = -1 }, "remote: config: Signed: MaxAge is negative"},
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := remote.New(t.Context(), remote.Config{})
	require.EqualError(t, err, "remote: config: Endpoint or Issuer is required\n"+
		"remote: config: Auth is required: set None for an endpoint without client authentication\n"+
		"remote: config: Audience is required: without it, a token for any other API is accepted")
	for _, tt := range slices.Concat(casesOfConfig(), casesOfConfigAuth(t), casesOfConfigSigned()) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := remote.Config{
				Endpoint: "https://issuer.example/introspect", Auth: remote.None(""), Audience: []string{audience},
				HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return reply(404, ""), nil })},
			}
			tt.change(&cfg)
			in, err := remote.New(t.Context(), cfg)
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.want)
			assert.Nil(t, in)
		})
	}
}
