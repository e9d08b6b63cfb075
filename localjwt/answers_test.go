package localjwt_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// A redirect is not followed, whatever its target is, and the keys stay.
func TestRedirectIsNotFollowed(t *testing.T) {
	for _, target := range []string{
		"https://evil.example/jwks", "http://issuer.example/jwks", "http://169.254.169.254/", "file:///etc/passwd", "/jwks",
	} {
		t.Run(target, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				require.Equal(t, ok, send(t, in, as.Mint(nil)))
				before := as.fetches.Load()
				as.answer(fixed(302, "", "Location", target))
				assert.Equal(t, 503, send(t, in, as.mintUnknown("bogus", nil)).status)
				assert.Equal(t, before+1, as.fetches.Load())
				assert.Equal(t, ok, send(t, in, as.Mint(nil)))
			})
		})
	}
}

// An unchanged set is not sent again. A 304 makes the keys as fresh as a 200 would.
func TestNotModifiedKeepsKeysFresh(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == `"v1"` {
				return reply(304, "")
			}
			return reply(200, string(as.JWKS()), "ETag", `"v1"`)
		})
		in := as.introspector(t)
		for range 30 {
			require.Equal(t, ok, send(t, in, as.Mint(nil)))
			pass(time.Hour)
		}
		assert.NoError(t, in.Ready(), "fresh for 30 hours, only by 304")
	})
	t.Run("without a set before", func(t *testing.T) {
		bubble(t, func(t *testing.T, as *issuer) {
			as.answer(fixed(304, ""))
			assert.Equal(t, 503, send(t, as.introspector(t), as.Mint(nil)).status)
		})
	})
}

// An answer that is not a key set, or whose status is not 200, is a failed fetch.
// The last good keys stay.
func TestBadAnswerKeepsTheKeys(t *testing.T) {
	answers := map[string]func(*http.Request) *http.Response{
		"login page":       fixed(200, "<html>log in</html>", "Content-Type", "text/html"),
		"empty object":     fixed(200, `{}`),
		"error object":     fixed(200, `{"error":"maintenance"}`),
		"keys is null":     fixed(200, `{"keys":null}`),
		"keys is object":   fixed(200, `{"keys":{}}`),
		"array":            fixed(200, `[]`),
		"empty body":       fixed(200, ``),
		"trailing garbage": fixed(200, `{"keys":[]}x`),
		"keys twice":       fixed(200, `{"keys":[],"keys":[]}`),
		"cut off":          fixed(200, `{"keys":[`),
		"201":              fixed(201, `{"keys":[]}`),
		"204":              fixed(204, ``),
		"401":              fixed(401, `{"keys":[]}`),
		"500":              fixed(500, `{"keys":[]}`),
	}
	for name, nonsense := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				require.Equal(t, ok, send(t, in, as.Mint(nil)))
				as.answer(nonsense)
				pass(time.Hour) // the answer is repeated, and still is not a key set
				assert.Equal(t, ok, send(t, in, as.Mint(nil)))
				assert.Equal(t, 503, send(t, in, as.mintUnknown("bogus", nil)).status)
			})
		})
	}
}

// A set without a usable member is not an empty set, however often the server sends
// it.
func TestSetWithoutAUsableKeyIsAFailedFetch(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		as.answer(fixed(200, `{"keys":[{"error":"maintenance"}]}`))
		pass(2 * time.Hour)
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
	})
}

// All keys are withdrawn if the server sends an empty set twice in a row.
func TestSecondEmptySetWithdrawsAllKeys(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
		require.Equal(t, ok, send(t, in, token))
		as.answer(fixed(200, `{"keys":[]}`))
		unknown := as.mintUnknown("bogus", oauthztest.Claims{"iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(time.Hour)})
		require.Equal(t, 503, send(t, in, unknown).status) // causes the fetch of the first answer
		assert.Equal(t, ok, send(t, in, token))
		pass(6 * time.Second) // the second answer comes by a scheduled fetch
		assert.Equal(t, refused, send(t, in, token))
	})
	t.Run("not if keys came between", func(t *testing.T) {
		bubble(t, func(t *testing.T, as *issuer) {
			in := as.introspector(t)
			require.Equal(t, ok, send(t, in, as.Mint(nil)))
			for range 3 {
				as.answer(fixed(200, `{"keys":[]}`))
				require.Equal(t, 503, send(t, in, as.mintUnknown("bogus", nil)).status)
				as.answer(nil)
				pass(time.Minute)
				require.Equal(t, ok, send(t, in, as.Mint(nil)))
			}
		})
	})
}

// The second answer confirms an empty set. It is not requested at once, and the
// empty set needs no further confirmation.
func TestEmptySetFromTheStart(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(*http.Request) *http.Response {
			<-time.After(time.Millisecond) // so that the first request comes during the first fetch
			return reply(200, `{"keys":[]}`)
		})
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.UnknownKeyInterval = 10 * time.Second })
		old := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(time.Hour)})
		assert.Equal(t, unavailable("1"), send(t, in, old), "the Retry-After is not in the past")
		pass(9 * time.Second)
		require.Equal(t, int64(1), as.fetches.Load())
		pass(2 * time.Second)
		require.Equal(t, int64(2), as.fetches.Load())
		for range 4 {
			assert.Equal(t, refused, send(t, in, old))
			pass(time.Minute)
		}
		assert.Equal(t, int64(6), as.fetches.Load())
	})
}

// Two empty answers confirm each other only if no other answer came between them.
func TestEmptySetsThatAreNotInARow(t *testing.T) {
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
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		for range 4 {
			empty.Store(true)
			pass(time.Hour)
			require.False(t, empty.Load(), "it was answered once")
			assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		}
	})
}

// When all keys are withdrawn, every token is refused, and Ready returns an error.
func TestNotReadyWithoutKeys(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(fixed(200, `{"keys":[]}`))
		in := as.introspector(t)
		pass(time.Minute)
		assert.Equal(t, refused, send(t, in, as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Hour)})))
		assert.Error(t, in.Ready())
	})
}

// A fetch of a set over a bound fails.
func TestSetOverABoundKeepsTheKeys(t *testing.T) {
	key := `{"kty":"EC","crv":"P-256","x":"","y":""},`
	for name, body := range map[string]string{
		"bytes": `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
		"keys":  `{"keys":[` + strings.Repeat(key, 512) + strings.TrimSuffix(key, ",") + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				require.Equal(t, ok, send(t, in, as.Mint(nil)))
				as.answer(fixed(200, body))
				pass(time.Hour)
				assert.Equal(t, ok, send(t, in, as.Mint(nil)))
			})
		})
	}
}

// A server that fails on a conditional request gets the next request without a
// condition.
func TestServerThatFailsConditionalRequests(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(412, "")
			}
			return reply(200, string(as.JWKS()), "ETag", `"1"`)
		})
		in := as.introspector(t)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		as.Rotate()
		pass(20 * time.Minute)
		fetches := as.fetches.Load()
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		assert.Equal(t, fetches, as.fetches.Load(), "the new key was there")
	})
}

// A panic in the caller's transport is a failed fetch. It must not end the process.
func TestPanicInTheTransport(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(*http.Request) *http.Response { panic("transport") })
		in := as.introspector(t)
		assert.Equal(t, 503, send(t, in, as.Mint(nil)).status)
		as.answer(nil)
		pass(10 * time.Second)
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
	})
}
