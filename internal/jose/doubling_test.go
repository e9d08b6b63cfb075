package jose_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/doubling"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
)

const (
	maxToken = 16 << 10 // of a Guard
	maxSet   = 1 << 20  // of localjwt, by default
)

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// Anybody can send a string that looks like a JWS.
func TestCostOfParsingIsLinear(t *testing.T) {
	t.Parallel()
	tokens := map[string]func(n int) string{
		"dots":                   func(n int) string { return strings.Repeat(".", n) },
		"dots behind a header":   func(n int) string { return encode(`{"alg":"ES256"}`) + strings.Repeat(".", n) },
		"no dot":                 func(n int) string { return strings.Repeat("e", n) },
		"spaces":                 func(n int) string { return encode(strings.Repeat(" ", n*3/4)) + ".e30.e30" },
		"a long signature":       func(n int) string { return encode(`{"alg":"ES256"}`) + ".e30." + strings.Repeat("A", n) },
		"line ends":              func(n int) string { return encode(`{"alg":"ES256"}`) + "." + strings.Repeat("\n", n) + ".A" },
		"a payload of no base64": func(n int) string { return encode(`{"alg":"ES256"}`) + "." + strings.Repeat("=", n) + ".A" },
		"a long kid":             func(n int) string { return encode(`{"alg":"ES256","kid":"`+strings.Repeat("k", n*3/4)+`"}`) + ".e30.A" },
		"a long typ":             func(n int) string { return encode(`{"alg":"ES256","typ":"`+strings.Repeat("/", n*3/4)+`"}`) + ".e30.A" },
	}
	for name, object := range doubling.Objects() {
		tokens["header: "+name] = func(n int) string { return encode(object(n*3/4)) + ".e30.A" }
		tokens["payload: "+name] = func(n int) string { return encode(`{"alg":"ES256"}`) + "." + encode(object(n*3/4)) + ".A" }
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxToken, func(n int) func() {
				raw := token(n)
				return func() {
					parsed, err := jose.Parse(raw, jose.Limits{Token: 2 * maxToken, Header: 2 * maxToken})
					if err != nil {
						return
					}
					_, _ = parsed.Payload()
					_ = parsed.UnverifiedIssuer()
				}
			})
		})
	}
}

// paddedKey returns a JWK, each time another one.
func paddedKey(t *testing.T, kid int) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := private.PublicKey.Bytes()
	require.NoError(t, err)
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"%d","x":"%s","y":"%s"}`, kid, encode(string(point[1:33])), encode(string(point[33:])))
}

// costlySets return documents of about n bytes, each with much of one part of a key set.
var costlySets = map[string]func(n int) string{
	"empty objects": func(n int) string { return `{"keys":[` + strings.Repeat("{},", n/3) + `{}]}` },
	"strings":       func(n int) string { return `{"keys":[` + strings.Repeat(`"",`, n/3) + `""]}` },
	"broken keys": func(n int) string {
		return `{"keys":[` + strings.Repeat(`{"kty":"RSA","n":"AQAB","e":"AQAB"},`, n/36) + `{}]}`
	},
	"a long modulus": func(n int) string {
		return `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("A", n) + `"}]}`
	},
	"a long exponent": func(n int) string {
		return `{"keys":[{"kty":"RSA","n":"AQAB","e":"` + strings.Repeat("A", n) + `"}]}`
	},
	"long key_ops": func(n int) string {
		return `{"keys":[{"kty":"EC","key_ops":["` + strings.Repeat(`sign","`, n/7) + `"]}]}`
	},
	"a long coordinate": func(n int) string {
		return `{"keys":[{"kty":"EC","crv":"P-256","y":"AQAB","x":"` + strings.Repeat("A", n) + `"}]}`
	},
}

// A server whose keys are fetched is not always the one that we configured.
func TestCostOfAKeySetIsLinear(t *testing.T) {
	t.Parallel()
	for name, set := range costlySets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxSet, func(n int) func() {
				doc := []byte(set(n))
				return func() { _, _, _ = jose.NewFixedSet(doc, maxSet) }
			})
		})
	}
	t.Run("keys", func(t *testing.T) {
		t.Parallel()
		doubling.Linear(t, 256, func(n int) func() { // each is more work than a square of comparisons
			keys := make([]string, n)
			for i := range keys {
				keys[i] = paddedKey(t, i)
			}
			doc := []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`)
			return func() { _, _, _ = jose.NewFixedSet(doc, n) }
		})
	})
}

// answering is a transport that answers every request alike.
type answering struct {
	header http.Header
	body   string
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: a.header,
		Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: -1,
	}, nil
}

func (a answering) client() *fetch.Client {
	return fetch.New(fetch.Config{HTTPClient: &http.Client{Transport: a}, MaxBytes: 2 * maxSet, Timeout: time.Minute, Concurrency: 1})
}

func TestCostOfMetadataIsLinear(t *testing.T) {
	t.Parallel()
	const issuer = "https://login.example"
	documents := doubling.Objects()
	for name, found := range map[string]string{"letters": "a", "slashes": "/", "escapes": "%41", "bad escapes": "%", "colons": ":", "brackets": "[", "at signs": "@", "queries": "?", "dots": "../"} {
		documents["a URL of "+name] = func(n int) string {
			return `{"issuer":"` + issuer + `","jwks_uri":"https://` + strings.Repeat(found, n/len(found)) + `"}`
		}
		documents["a path of "+name] = func(n int) string {
			return `{"issuer":"` + issuer + `","jwks_uri":"https://a.example/` + strings.Repeat(found, n/len(found)) + `"}`
		}
	}
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxSet/4, func(n int) func() {
				client := answering{body: document(n)}.client()
				return func() { _, _ = jose.Discover(context.Background(), client, issuer, "jwks_uri") }
			})
		})
	}
}

// How long a key set may be kept is read from fields that a server can make as long as it likes, up to a megabyte.
func TestCostOfCacheControlIsLinear(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{
		"commas": ",", "spaces": " ", "elements": "a,", "elements and spaces": "a , ", "ages": "max-age=1,", "digits": "1", "equals signs": "=", "quotes": `"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, http.DefaultMaxHeaderBytes, func(n int) func() {
				header := http.Header{"Cache-Control": {"max-age=" + strings.Repeat(part, n/len(part))}}
				get := jose.Remote(answering{header, `{"keys":[]}`}.client(), func(context.Context) (string, error) { return "https://login.example/keys", nil })
				return func() { _, _ = get(context.Background(), jose.Want{}) }
			})
		})
	}
}
