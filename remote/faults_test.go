package remote_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// A flood that fills the turns of a slow, healthy endpoint does not open the
// breaker: it answers some.
func TestFloodDoesNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, err := remote.New(t.Context(), remote.Config{
			Endpoint: "https://issuer.example/i", Auth: remote.None(""), Audience: []string{audience},
			MaxConcurrent: 4, Timeout: time.Second,
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(200 * time.Millisecond):
					return reply(200, good), nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})},
		})
		require.NoError(t, err)
		down := 0
		for range 600 { // sixty a second, of which twenty can be served
			go func() {
				if _, err := in.Introspect(t.Context(), "forged"); isDown(err) {
					down++
				}
			}()
			<-time.After(16 * time.Millisecond)
		}
		<-time.After(5 * time.Second)
		assert.Zero(t, down)
		_, err = in.Introspect(t.Context(), "good")
		assert.NoError(t, err)
	})
}

// An endpoint that hangs is found out though every caller gives up early.
func TestHangingEndpointAndCallersInAHurry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, err := in.Introspect(ctx, "opaque")
			require.Error(t, err)
			cancel()
		}
		go func() { _, _ = in.Introspect(t.Context(), "opaque") }() // the trial
		synctest.Wait()
		_, err := in.Introspect(t.Context(), "opaque")
		assert.True(t, isDown(err), "%v", err)
	})
}

// A hook that panics during the trial, and during the probe, does not end the
// process, nor keep the breaker open.
func TestPanicDuringTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64 // 0: panic
		status.Store(503)
		in := bubbled(t, func(*http.Request) (*http.Response, error) {
			if status.Load() == 0 {
				panic("hook")
			}
			return reply(int(status.Load()), good), nil
		})
		for range 5 {
			_, err := in.Introspect(t.Context(), "opaque")
			require.Error(t, err)
			<-time.After(time.Second)
		}
		status.Store(0)
		for range 10 {
			<-time.After(2 * time.Second)
			assert.Panics(t, func() { _, _ = in.Introspect(t.Context(), "opaque") })
			synctest.Wait()
		}
		status.Store(200)
		<-time.After(2 * time.Second)
		_, err := in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}

// A panic in the caller's transport does not end the process during discovery.
func TestPanicDuringDiscovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		in, err := remote.New(t.Context(), remote.Config{
			Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience},
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				if !up.Load() {
					panic("transport")
				}
				if r.Method == http.MethodGet {
					return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"https://issuer.example/i"}`), nil
				}
				return reply(200, good), nil
			})},
		})
		require.NoError(t, err)
		_, err = in.Introspect(t.Context(), "opaque")
		require.ErrorContains(t, err, "the introspection endpoint has not been discovered: panic in the HTTP client: string")
		up.Store(true)
		<-time.After(6 * time.Second)
		_, err = in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}

// An endpoint that moves is found at its new place, and Timeout bounds the wait
// for the discovery too.
func TestEndpointThatMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var place atomic.Value
		place.Store("https://issuer.example/old")
		in, err := remote.New(t.Context(), remote.Config{
			Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience}, Timeout: 500 * time.Millisecond,
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				switch r.URL.String() {
				case "https://issuer.example/.well-known/oauth-authorization-server":
					if place.Load() == "" {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"`+place.Load().(string)+`"}`), nil
				case place.Load():
					return reply(200, good), nil
				default:
					return reply(404, ""), nil
				}
			})},
		})
		require.NoError(t, err)
		_, err = in.Introspect(t.Context(), "opaque")
		require.NoError(t, err)
		place.Store("https://issuer.example/new")
		<-time.After(16 * time.Minute)
		_, err = in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}

// own is a dialect that gives its verdicts a validity of their own.
type own struct{ live *atomic.Bool }

func (own) Ask(ctx context.Context, endpoint *url.URL, _ string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	return r, nil, err
}

func (d own) Answer(*http.Response, []byte) (*oauthz.Token, error) {
	t := oauthztest.Token(oauthztest.Claims{"aud": audience, "exp": noon.Add(time.Hour)})
	return t.WithValidity(noon.Add(time.Minute), d.live.Load), nil
}

// What a dialect says of how long its verdict stands is heeded.
func TestValidityOfADialect(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, says(200, ""))
	now, live := noon, new(atomic.Bool)
	live.Store(true)
	in := e.introspector(t, func(c *remote.Config) { c.Dialect, c.Auth = own{live}, nil })
	c, err := cache.New(in, cache.Config{TTL: time.Hour, Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	asked := func() int {
		_, err := c.Introspect(t.Context(), "opaque")
		require.NoError(t, err)
		return len(e.asked())
	}
	require.Equal(t, 1, asked())
	require.Equal(t, 1, asked())
	live.Store(false)
	require.Equal(t, 2, asked())
	live.Store(true)
	require.Equal(t, 3, asked(), "what is not live when it comes is not kept")
	now = noon.Add(time.Minute)
	assert.Equal(t, 4, asked())
}

// A signed answer stands as long as the key that signed it, and is not read
// beyond its own exp and nbf.
func TestSignedAnswerAndItsKey(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]oauthztest.Claims{
		"over": {"exp": noon.Add(-2 * time.Minute)}, "not yet": {"nbf": noon.Add(2 * time.Minute)},
	} {
		_, _, in := signing(t, func(as *oauthztest.Server) (string, string) { return signedMedia, mintAnswer(as, claims) })
		assert.Equal(t, fault, ask(t, in, "opaque"), name)
	}
	as, _, in := signing(t, func(as *oauthztest.Server) (string, string) { return signedMedia, mintAnswer(as, nil) })
	token, err := in.Introspect(t.Context(), "opaque")
	require.NoError(t, err)
	_, live := token.Validity()
	require.True(t, live)
	old := as.Keys()[0]
	as.Rotate()
	as.Withdraw(old)
	_, err = in.Introspect(t.Context(), "opaque") // signed with the new key, which is fetched
	require.NoError(t, err)
	_, live = token.Validity()
	assert.False(t, live)
}

// kms is a signer whose key is not at hand.
type kms struct{ key crypto.Signer }

func (k kms) Public() crypto.PublicKey { return k.key.Public() }

func (k kms) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.key.Sign(random, digest, opts)
}

func TestPrivateKeyJWTWithASigner(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for alg, key := range map[string]crypto.Signer{
		"RS256": rsaKey, "RS512": rsaKey, "PS256": rsaKey, "PS384": rsaKey, "ES256": p256, "ES512": p521, "EdDSA": edKey,
	} {
		_, form := sent(t, remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Key: kms{key}, Algorithm: alg}))
		_, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return key.Public(), nil }, jwt.WithValidMethods([]string{alg}))
		assert.NoError(t, err, alg)
	}
	var none *rsa.PrivateKey
	for alg, key := range map[string]crypto.Signer{"RS256": none, "ES384": kms{p256}, "EdDSA": kms{rsaKey}, "HS256": kms{edKey}, "none": kms{edKey}} {
		_, err := remote.New(t.Context(), remote.Config{
			Endpoint: "https://issuer.example/i", Audience: []string{audience},
			Auth: remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Key: key, Algorithm: alg}),
		})
		assert.Error(t, err, alg)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.Equal(t, "remote.PrivateKey", fmt.Sprintf(verb, remote.PrivateKey{Key: edKey}))
	}
}

// RFC 7617 §2: an id with a colon cannot be told from a secret.
func TestBasicRawWithAColon(t *testing.T) {
	t.Parallel()
	for auth, want := range map[remote.ClientAuth]error{
		remote.Basic("a:b", "s"):    nil,
		remote.BasicRaw("a:b", "s"): errors.New("remote: config: Auth: client id holds a colon, which only Basic can send"),
	} {
		_, err := remote.New(t.Context(), remote.Config{Endpoint: "https://issuer.example/i", Audience: []string{audience}, Auth: auth})
		if want == nil {
			assert.NoError(t, err)
		} else {
			assert.EqualError(t, err, want.Error())
		}
	}
}
