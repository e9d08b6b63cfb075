package localjwt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// These tests fetch over real HTTP.

func server(t *testing.T, cfg oauthztest.Config) *oauthztest.Server {
	t.Helper()
	if cfg.Algorithm == "" {
		cfg.Algorithm = "ES256"
	}
	as := oauthztest.NewServer(cfg)
	t.Cleanup(as.Close)
	return as
}

// discovering is an introspector that is told nothing but the issuer.
func discovering(t *testing.T, as *oauthztest.Server, changes ...func(*localjwt.Config)) *localjwt.Introspector {
	t.Helper()
	cfg := localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, Logger: slog.New(slog.DiscardHandler)}
	for _, change := range changes {
		change(&cfg)
	}
	in, err := localjwt.New(t.Context(), cfg)
	require.NoError(t, err)
	return in
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/tenant1", "/a/b"} {
		t.Run("path "+path, func(t *testing.T) {
			t.Parallel()
			as := server(t, oauthztest.Config{Path: path})
			assert.Equal(t, ok, ask(t, discovering(t, as), as.Mint(nil)))
			assert.Equal(t, 1, as.Count(oauthztest.Discovery))
		})
	}
}

// metadata serves a key set, and metadata at one place.
func metadata(t *testing.T, place string, body func(url string) string) (url string, mint func(oauthztest.Claims) string) {
	t.Helper()
	keys := server(t, oauthztest.Config{})
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	mux.HandleFunc("GET "+place, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body(web.URL)) })
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) })
	return web.URL, func(claims oauthztest.Claims) string { return keys.Mint(claims) }
}

// JW-29: RFC 8414 §3.1 and OpenID Connect Discovery §4, and an issuer that must
// be exactly the one configured.
func TestJW29Metadata(t *testing.T) {
	t.Parallel()
	const rfc8414, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	tests := []struct {
		name, place, issuer, body string // %[1]s is the origin
		want                      int
	}{
		{"RFC 8414", rfc8414, "%[1]s", `{"issuer":"%[1]s","jwks_uri":"%[1]s/jwks"}`, 204},
		{"OpenID Connect", openid, "%[1]s", `{"issuer":"%[1]s","jwks_uri":"%[1]s/jwks"}`, 204},
		{"RFC 8414, path", rfc8414 + "/t/1", "%[1]s/t/1", `{"issuer":"%[1]s/t/1","jwks_uri":"%[1]s/jwks"}`, 204},
		{"OpenID Connect, path", "/t/1" + openid, "%[1]s/t/1", `{"issuer":"%[1]s/t/1","jwks_uri":"%[1]s/jwks"}`, 204},
		{"slash at the end", openid, "%[1]s/", `{"issuer":"%[1]s/","jwks_uri":"%[1]s/jwks"}`, 204},
		{"slash in the metadata only", openid, "%[1]s", `{"issuer":"%[1]s/","jwks_uri":"%[1]s/jwks"}`, 503},
		{"slash in the configuration only", openid, "%[1]s/", `{"issuer":"%[1]s","jwks_uri":"%[1]s/jwks"}`, 503},
		{"another issuer", rfc8414, "%[1]s", `{"issuer":"https://evil.example","jwks_uri":"%[1]s/jwks"}`, 503},
		{"no issuer", rfc8414, "%[1]s", `{"jwks_uri":"%[1]s/jwks"}`, 503},
		{"issuer twice", rfc8414, "%[1]s", `{"issuer":"https://evil.example","issuer":"%[1]s","jwks_uri":"%[1]s/jwks"}`, 503},
		{"issuer in upper case", rfc8414, "%[1]s", `{"ISSUER":"%[1]s","jwks_uri":"%[1]s/jwks"}`, 503},
		{"no jwks_uri", rfc8414, "%[1]s", `{"issuer":"%[1]s"}`, 503},
		{"jwks_uri over http", rfc8414, "%[1]s", `{"issuer":"%[1]s","jwks_uri":"http://issuer.example/jwks"}`, 503},
		{"jwks_uri a file", rfc8414, "%[1]s", `{"issuer":"%[1]s","jwks_uri":"file:///etc/passwd"}`, 503},
		{"not JSON", rfc8414, "%[1]s", `<html>`, 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, mint := metadata(t, tt.place, func(url string) string {
				return strings.ReplaceAll(tt.body, "%[1]s", url)
			})
			issuer := strings.ReplaceAll(tt.issuer, "%[1]s", url)
			in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: issuer, Audience: []string{audience}, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			assert.Equal(t, tt.want, ask(t, in, mint(oauthztest.Claims{"iss": issuer})).status)
		})
	}
}

// JW-03, JW-04: the keys of one issuer never verify a token of another, though
// both call theirs the same, or the token names none.
func TestJW03KeysOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	a, b := server(t, oauthztest.Config{}), server(t, oauthztest.Config{})
	both, err := localjwt.ByIssuer(discovering(t, a), discovering(t, b))
	require.NoError(t, err)
	require.Equal(t, ok, ask(t, both, a.Mint(nil)))
	require.Equal(t, ok, ask(t, both, b.Mint(nil)))
	require.Equal(t, a.Keys(), b.Keys(), "the same names")
	for name, opts := range map[string][]oauthztest.MintOption{
		"same kid": nil, "without kid": {oauthztest.WithHeader("kid", oauthztest.Absent)},
	} {
		forged := a.Mint(oauthztest.Claims{"iss": b.Issuer(), "iat": time.Now().Add(-time.Hour)}, opts...)
		assert.Equal(t, refused, ask(t, both, forged), name)
		assert.Equal(t, refused, ask(t, both, forged), name)
	}
	assert.Equal(t, refused, ask(t, both, a.Mint(oauthztest.Claims{"iss": "https://third.example"})))
	assert.Equal(t, refused, ask(t, both, a.Mint(oauthztest.Claims{"iss": oauthztest.Absent})))
	assert.Equal(t, refused, ask(t, both, a.Mint(nil, oauthztest.WithRawClaims([]byte(`x`)))))
	_, err = both.Introspect(t.Context(), "opaque")
	assert.ErrorIs(t, err, oauthz.ErrUnrecognized)
}

func TestByIssuerIsChecked(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	_, err := localjwt.ByIssuer()
	require.EqualError(t, err, "localjwt: ByIssuer: no introspector")
	_, err = localjwt.ByIssuer(discovering(t, as), nil, discovering(t, as))
	assert.EqualError(t, err, "localjwt: ByIssuer: introspector 1 is nil\n"+
		fmt.Sprintf("localjwt: ByIssuer: two introspectors for issuer %q", as.Issuer()))
}

// JW-08 over real HTTP, with the race detector looking on.
func TestJW08RotationOverHTTP(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	in := discovering(t, as)
	require.Equal(t, ok, ask(t, in, as.Mint(nil)))
	before := as.Count(oauthztest.JWKS)
	as.Rotate()
	token := as.Mint(nil)
	arrived := make(chan struct{})
	as.Inject(oauthztest.JWKS, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		<-arrived // the others are on their way
		next.ServeHTTP(w, r)
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { assert.Equal(t, ok, ask(t, in, token)) })
	}
	close(arrived)
	all.Wait()
	assert.Equal(t, before+1, as.Count(oauthztest.JWKS))
}

// JW-14: what a server sends beyond the cap costs no more memory than the cap,
// and the good keys stay. Not parallel: it measures what the process allocates.
func TestJW14HugeKeySetCostsTheCap(t *testing.T) {
	as := server(t, oauthztest.Config{})
	for name, fault := range map[string]oauthztest.Fault{
		"60 MB": oauthztest.Huge(60 << 20), "gzip bomb of 60 MB": oauthztest.GzipBomb(60 << 20),
	} {
		t.Run(name, func(t *testing.T) {
			in := discovering(t, as)
			require.Equal(t, ok, ask(t, in, as.Mint(nil)))
			as.Inject(oauthztest.JWKS, fault)
			defer as.Heal(oauthztest.JWKS)
			unknown := as.Mint(nil, oauthztest.WithHeader("kid", "bogus"))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			assert.Equal(t, 503, ask(t, in, unknown).status)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("allocated %.1f MB in all, of a body of 60 MB; the cap is 1 MB", float64(allocated)/(1<<20))
			assert.Less(t, allocated, uint64(8<<20), "a buffer that grows to the cap, and the fake server's own")
			assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		})
	}
}

// JW-14: a body that trickles is given up in time.
func TestJW14SlowBody(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	in := discovering(t, as, func(cfg *localjwt.Config) { cfg.FetchTimeout = 100 * time.Millisecond })
	require.Equal(t, ok, ask(t, in, as.Mint(nil)))
	as.Inject(oauthztest.JWKS, oauthztest.SlowBody(time.Second))
	assert.Equal(t, 503, ask(t, in, as.Mint(nil, oauthztest.WithHeader("kid", "bogus"))).status)
	assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
}

// JW-25: the type of the content is not looked at: it must be a key set.
func TestJW25ContentTypes(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/json", "application/json; charset=UTF-8", "application/jwk-set+json; charset=utf-8", "text/plain", ""} {
		as := server(t, oauthztest.Config{})
		as.Keys()
		as.Inject(oauthztest.JWKS, oauthztest.Body(contentType, string(as.JWKS())))
		assert.Equal(t, ok, ask(t, discovering(t, as), as.Mint(nil)), contentType)
	}
}

// JW-28: a certificate that is not valid is an outage.
func TestJW28Certificate(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{})
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(as.JWKS()) }))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	with := func(client *http.Client) *localjwt.Introspector {
		return discovering(t, as, func(cfg *localjwt.Config) { cfg.JWKSURL, cfg.HTTPClient = web.URL, client })
	}
	assert.Equal(t, 503, ask(t, with(nil), as.Mint(nil)).status)
	assert.Equal(t, ok, ask(t, with(web.Client()), as.Mint(nil)))
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := localjwt.New(t.Context(), localjwt.Config{})
	require.EqualError(t, err, "localjwt: config: Issuer is required\n"+
		"localjwt: config: Audience is required: without it, a token for any other API is accepted")
	valid := localjwt.Config{Issuer: "https://issuer.example", Audience: []string{audience}}
	tests := []struct {
		name   string
		change func(*localjwt.Config)
		want   string
	}{
		{"audience empty", func(c *localjwt.Config) { c.Audience = []string{audience, ""} }, "localjwt: config: Audience holds an empty string"},
		{"issuer over http", func(c *localjwt.Config) { c.Issuer = "http://issuer.example" }, "localjwt: config: Issuer: cannot discover the keys, and there is no JWKSURL: fetch: want an https URL (http only for loopback)"},
		{"issuer with a query", func(c *localjwt.Config) { c.Issuer = "https://issuer.example?x" }, "localjwt: config: Issuer: cannot discover the keys, and there is no JWKSURL: jose: issuer holds a query (RFC 8414 §2)"},
		{"keys over http", func(c *localjwt.Config) { c.JWKSURL = "http://issuer.example/jwks" }, "localjwt: config: JWKSURL: fetch: want an https URL (http only for loopback)"},
		{"password in URL", func(c *localjwt.Config) { c.JWKSURL = "https://u:secret@issuer.example/jwks" }, "localjwt: config: JWKSURL: fetch: URL holds credentials"},
		{"two sources", func(c *localjwt.Config) { c.JWKSURL, c.JWKS = "https://issuer.example", json.RawMessage(`{}`) }, "localjwt: config: JWKSURL and JWKS exclude each other\nlocaljwt: config: JWKS: jose: not a JWK Set within bounds"},
		{"HS256", func(c *localjwt.Config) { c.Algorithms = []string{"RS256", "HS256"} }, `localjwt: config: Algorithms: "HS256" is not one of [ES256 ES384 ES512 Ed25519 EdDSA PS256 PS384 PS512 RS256 RS384 RS512]`},
		{"none", func(c *localjwt.Config) { c.Algorithms = []string{"none"} }, `localjwt: config: Algorithms: "none" is not one of [ES256 ES384 ES512 Ed25519 EdDSA PS256 PS384 PS512 RS256 RS384 RS512]`},
		{"leeway", func(c *localjwt.Config) { c.Leeway = 6 * time.Minute }, "localjwt: config: Leeway: 6m0s is more than 5m0s"},
		{"negative bounds", func(c *localjwt.Config) { c.MaxKeys, c.FetchTimeout = -1, -1 }, "localjwt: config: MaxKeys is negative\nlocaljwt: config: FetchTimeout is negative"},
		{"too many keys", func(c *localjwt.Config) { c.MaxKeys, c.JWKS = 1, json.RawMessage(`{"keys":[{},{}]}`) }, "localjwt: config: JWKS: jose: not a JWK Set within bounds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := valid
			tt.change(&cfg)
			in, err := localjwt.New(t.Context(), cfg)
			assert.EqualError(t, err, tt.want)
			assert.Nil(t, in)
		})
	}
}

// RS-06: nothing of a token, and nothing that a server sent, in the log or in
// an error.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	as := server(t, oauthztest.Config{})
	var logged lockedBuffer
	in := discovering(t, as, func(cfg *localjwt.Config) { cfg.Logger = slog.New(slog.NewJSONHandler(&logged, nil)) })
	require.Equal(t, ok, ask(t, in, as.Mint(nil)))
	as.SetJWKS([]byte(`{"keys":[{"kty":"` + canary + `","kid":"` + canary + `"}],"x":"` + canary + `"}`))
	tokens := []string{
		as.Mint(oauthztest.Claims{"sub": canary, "iss": canary}),
		as.Mint(oauthztest.Claims{"exp": canary}),
		as.Mint(oauthztest.Claims{"aud": canary, "jti": canary}),
		as.Mint(nil, oauthztest.WithHeader("typ", canary)),
		as.Mint(nil, oauthztest.WithHeader("alg", canary)),
		as.Mint(nil, oauthztest.WithHeader("kid", canary)),
		as.Mint(nil, oauthztest.WithRawHeader([]byte(`{"alg":"ES256",`+canary))),
		as.Mint(nil, oauthztest.WithRawClaims([]byte(canary))),
		canary, canary + ".a.b", "eyJ" + canary + ".a.b",
	}
	for i, token := range tokens {
		_, err := in.Introspect(t.Context(), token)
		require.Error(t, err, "token %d", i)
		for _, text := range []string{fmt.Sprintf("%v %+v", err, err), logged.String()} {
			assert.NotContains(t, text, canary, "token %d", i)
			for part := range strings.SplitSeq(token, ".") {
				if len(part) > 6 {
					assert.NotContains(t, text, part, "token %d", i)
				}
			}
		}
	}
	assert.Contains(t, logged.String(), "cannot fetch the issuer's keys")
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
