package localjwt_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// JW-13: a set in which nothing is usable is not one that has been emptied,
// however often it is served.
func TestJW13SetWithoutAUsableKeyIsAFailedFetch(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		as.answer(fixed(200, `{"keys":[{"error":"maintenance"}]}`))
		pass(2 * time.Hour)
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
	})
}

// JW-13: two empty answers confirm each other only if nothing came between.
func TestJW13EmptySetAfterAnUnchangedOne(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var empty atomic.Bool
		as.answer(func(r *http.Request) *http.Response {
			switch {
			case empty.CompareAndSwap(true, false):
				return reply(200, `{"keys":[]}`)
			case r.Header.Get("If-None-Match") == `"v1"`:
				return reply(304, "")
			default:
				return reply(200, string(as.JWKS()), "ETag", `"v1"`)
			}
		})
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		for range 4 {
			empty.Store(true)
			pass(time.Hour)
			require.False(t, empty.Load(), "it was answered once")
			assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		}
	})
}

// All keys withdrawn: nobody is let in, and the probe for readiness says so.
func TestNotReadyWithoutKeys(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(fixed(200, `{"keys":[]}`))
		in := as.introspector(t)
		pass(time.Minute)
		assert.Equal(t, refused, ask(t, in, as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Hour)})))
		assert.Error(t, in.Ready())
	})
}

// A key set that moves is found at its new place, though the old one still
// answers, and an ETag means nothing anywhere but where it came from.
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
				require.Equal(t, ok, ask(t, in, old))
				kid := as.Keys()[0]
				as.Rotate()
				as.Withdraw(kid)
				place.Store("/v2")
				pass(time.Hour)
				assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
				assert.Equal(t, refused, ask(t, in, old))
			})
		})
	}
}

// A server that stumbles over a conditional request is asked without one.
func TestServerThatFailsConditionalRequests(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(412, "")
			}
			return reply(200, string(as.JWKS()), "ETag", `"1"`)
		})
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		as.Rotate()
		pass(20 * time.Minute)
		fetches := as.fetches.Load()
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		assert.Equal(t, fetches, as.fetches.Load(), "the new key was there")
	})
}

// A clock that is set back locks no new key out.
func TestClockThatIsSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var ahead atomic.Int64
		in := as.introspector(t, func(cfg *localjwt.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		ahead.Store(int64(time.Hour))
		require.NotEqual(t, ok, ask(t, in, as.bogus("bogus", nil)))
		ahead.Store(0)
		as.Rotate()
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
	})
}

// A place for the metadata that hangs leaves time for the other.
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
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
	})
}

// A logger that panics does not take the process down.
func TestPanicInTheLogger(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Logger = panicking() })
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Hour)
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
	})
}

func TestNilContext(t *testing.T) {
	t.Parallel()
	var none context.Context
	_, err := localjwt.New(none, localjwt.Config{Issuer: "https://issuer.example", Audience: []string{audience}})
	assert.EqualError(t, err, "localjwt: the context is nil")
}
