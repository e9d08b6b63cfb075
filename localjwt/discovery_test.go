package localjwt_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/tenant1", "/a/b"} {
		t.Run("path "+path, func(t *testing.T) {
			t.Parallel()
			as := server(t, oauthztest.Config{Path: path})
			assert.Equal(t, ok, send(t, discovering(t, as), as.Mint(nil)))
			assert.Equal(t, 1, as.Count(oauthztest.EndpointDiscovery))
		})
	}
}

// metadata starts a server with a key set at /jwks, and with body as the metadata
// at place.
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

// The metadata is found by RFC 8414 §3.1 and by OpenID Connect Discovery §4, and
// must name exactly the configured issuer.
func TestMetadataMustNameTheIssuer(t *testing.T) {
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
			assert.Equal(t, tt.want, send(t, in, mint(oauthztest.Claims{"iss": issuer})).status)
		})
	}
}

// Metadata that came over https is authenticated. With an http URL in it, even one
// on loopback, the keys would come from an unauthenticated process.
func TestMetadataOverHTTPSNamesOnlyHTTPS(t *testing.T) {
	const secure, loopback = "https://issuer.example", "http://127.0.0.1:8089"
	tests := []struct {
		name, issuer, jwks string
		want               int
		keyFetches         int64
	}{
		{"https names https", secure, "https://keys.example/jwks", 204, 1},
		{"https names http on loopback", secure, "http://127.0.0.1:8089/jwks", 503, 0},
		{"https names http on ::1", secure, "http://[::1]:8089/jwks", 503, 0},
		{"https names http on localhost", secure, "http://localhost/jwks", 503, 0},
		{"https names HTTP in upper case", secure, "HTTP://localhost/jwks", 503, 0},
		{"HTTPS in upper case names http", "HTTPS://issuer.example", "http://localhost/jwks", 503, 0},
		{"loopback names loopback", loopback, "http://127.0.0.1:8090/jwks", 204, 1},
		{"loopback names https", loopback, "https://keys.example/jwks", 204, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				var keyFetches int64
				as.answer(func(r *http.Request) *http.Response {
					if strings.HasPrefix(r.URL.Path, "/.well-known/") {
						return reply(200, `{"issuer":"`+tt.issuer+`","jwks_uri":"`+tt.jwks+`"}`)
					}
					keyFetches++
					return reply(200, string(as.JWKS()))
				})
				in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Issuer, cfg.JWKSURL = tt.issuer, "" })
				assert.Equal(t, tt.want, send(t, in, as.Mint(oauthztest.Claims{"iss": tt.issuer})).status)
				assert.Equal(t, tt.keyFetches, keyFetches)
			})
		})
	}
}

// The metadata is fetched again every quarter of an hour, and the ETag of the key
// set stays valid if the metadata has not changed. Only an answer with 200, at the
// path exactly as configured, is metadata.
func TestMetadataIsFetchedEveryQuarterOfAnHour(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var whole, metadata atomic.Int64
		status := 200
		as.answer(func(r *http.Request) *http.Response {
			switch {
			case r.URL.EscapedPath() == "/.well-known/oauth-authorization-server/a%2Fb":
				metadata.Add(1)
				return reply(status, `{"issuer":"https://issuer.example/a%2Fb","jwks_uri":"https://keys.example/"}`)
			case r.URL.Host != "keys.example":
				return reply(404, "")
			case r.Header.Get("If-None-Match") == `"1"`:
				return reply(304, "", "Cache-Control", "max-age=60")
			}
			whole.Add(1)
			return reply(200, string(as.JWKS()), "ETag", `"1"`, "Cache-Control", "max-age=60")
		})
		discovering := func(cfg *localjwt.Config) { cfg.JWKSURL, cfg.Issuer = "", "https://issuer.example/a%2Fb" }
		in := as.introspector(t, discovering)
		pass(time.Hour)
		require.Equal(t, ok, send(t, in, as.Mint(oauthztest.Claims{"iss": "https://issuer.example/a%2Fb"})))
		assert.Equal(t, int64(1), whole.Load(), "later fetches are conditional")
		assert.Equal(t, int64(4), metadata.Load())
		status = 404
		assert.Equal(t, 503, send(t, as.introspector(t, discovering), as.Mint(nil)).status)
		as.answer(hang)
		start := time.Now()
		assert.Equal(t, 503, send(t, as.introspector(t, discovering), as.Mint(nil)).status)
		assert.Less(t, time.Since(start), 4*time.Second, "FetchTimeout bounds all requests together")
	})
}

// A location of the metadata that hangs leaves time for the other location.
func TestDiscoveryThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(r *http.Request) *http.Response {
			switch r.URL.Path {
			case "/.well-known/oauth-authorization-server":
				return nil
			case "/.well-known/openid-configuration":
				return reply(200, `{"issuer":"`+as.Issuer()+`","jwks_uri":"https://keys.example/jwks"}`)
			default:
				return reply(200, string(as.JWKS()))
			}
		})
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.JWKSURL = "" })
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
	})
}

// A key set that moves is found at its new URL, even if the old URL still answers.
// An ETag is used only at the URL that sent it.
func TestKeySetThatMoves(t *testing.T) {
	for name, oldPlace := range map[string]int{"the old place answers": 200, "the old place is gone": 404} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				var place atomic.Value
				place.Store("/v1")
				before := string(as.JWKS())
				as.answer(func(r *http.Request) *http.Response {
					switch {
					case r.URL.Path == "/.well-known/oauth-authorization-server":
						return reply(200, `{"issuer":"`+as.Issuer()+`","jwks_uri":"https://keys.example`+place.Load().(string)+`"}`)
					case r.URL.Path != place.Load() && oldPlace == 404:
						return reply(404, "")
					case r.Header.Get("If-None-Match") == `"1"`:
						return reply(304, "")
					case r.URL.Path == "/v1":
						return reply(200, before, "ETag", `"1"`)
					default:
						return reply(200, string(as.JWKS()), "ETag", `"1"`)
					}
				})
				in := as.introspector(t, func(cfg *localjwt.Config) { cfg.JWKSURL = "" })
				old := as.Mint(oauthztest.Claims{"exp": time.Now().Add(24 * time.Hour)})
				require.Equal(t, ok, send(t, in, old))
				kid := as.Keys()[0]
				as.Rotate()
				as.Withdraw(kid)
				place.Store("/v2")
				pass(time.Hour)
				assert.Equal(t, ok, send(t, in, as.Mint(nil)))
				assert.Equal(t, refused, send(t, in, old))
			})
		})
	}
}
