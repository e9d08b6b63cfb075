package localjwt_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

func b64(raw ...byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// rsaKey is a key with a modulus of so many bits, which nobody has the other half of.
func rsaKey(bits uint, e ...byte) string {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q}`, b64(n.SetBit(n, 0, 1).Bytes()...), b64(e...))
}

// member is the one key of the set.
func member(as *oauthztest.Server) string {
	return strings.TrimSuffix(strings.TrimPrefix(string(as.JWKS()), `{"keys":[`), `]}`)
}

func TestKeysOnTheEdge(t *testing.T) {
	t.Parallel()
	f4, as := []byte{1, 0, 1}, server(t, oauthztest.Config{})
	as.Keys() // makes it
	ec := member(as)
	okp := func(n int, b byte) string {
		return `{"kty":"OKP","crv":"Ed25519","x":"` + b64(append(make([]byte, n-1), b)...) + `"}`
	}
	for key, usable := range map[string]bool{
		rsaKey(2048, f4...): true, rsaKey(2047, f4...): false, rsaKey(8192, f4...): true, rsaKey(8193, f4...): false,
		rsaKey(2048, 3): true, rsaKey(2048, 1): false, rsaKey(2048, 4): false, rsaKey(2048, 1, 0, 0, 1): true,
		rsaKey(2048, 0, 0, 1, 0, 1): false, rsaKey(2048, 1, 0, 0, 0, 1): false,
		ec: true, strings.Replace(ec, `"x":"`, `"x":"AAAA`, 1): false, strings.Replace(ec, `"y":"`, `"y":"AAAA`, 1): false, // octets of zero
		okp(32, 1): true, okp(31, 1): false, okp(33, 1): false, okp(32, 0x80): false, // order 4, with the sign bit
		strings.Replace(ec, `"use":"sig"`, `"use":"tls"`, 1):          false,
		strings.Replace(ec, `"use":"sig"`, `"key_ops":"verify"`, 1):   false,
		strings.Replace(ec, `"use":"sig"`, `"key_ops":["verify"]`, 1): true,
	} {
		_, err := localjwt.New(t.Context(), localjwt.Config{
			Issuer: as.Issuer(), Audience: []string{audience}, JWKS: json.RawMessage(`{"keys":[` + key + `]}`),
		})
		assert.Equal(t, usable, err == nil, "%s: %v", key, err)
	}
}

// A key whose alg is Ed25519 goes by both of its names; one that is there several
// times takes no other's place.
func TestKeysUnderSeveralNames(t *testing.T) {
	t.Parallel()
	as := server(t, oauthztest.Config{Algorithm: "EdDSA"})
	kid := as.Keys()[0]
	as.SetKeyMember(kid, "alg", "Ed25519")
	one := member(as)
	as.Rotate()
	set := strings.Replace(string(as.JWKS()), one, strings.Repeat(one+",", 4)+one, 1)
	in := fixedKeys(t, as, set)
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		assert.Equal(t, ok, ask(t, in, as.Mint(nil, oauthztest.WithKey(kid), oauthztest.WithHeader("alg", alg))), alg)
	}
	assert.Equal(t, ok, ask(t, in, as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent))))
}

// A key that is published under another name, or for another algorithm, is
// another key.
func TestKeyThatChanges(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		old := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(time.Hour)}, oauthztest.WithAlgorithm("RS256"))
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, old))
		as.SetKeyMember(as.Keys()[0], "kid", "renamed")
		as.SetKeyMember("key-2", "alg", "PS256")
		pass(20 * time.Minute)
		fetches := as.fetches.Load()
		assert.Equal(t, ok, ask(t, in, as.bogus("renamed", nil)))
		assert.Equal(t, ok, ask(t, in, as.Mint(nil, oauthztest.WithAlgorithm("PS256"), oauthztest.WithKey("key-2"))))
		assert.Equal(t, fetches, as.fetches.Load())
		assert.Equal(t, refused, ask(t, in, old))
	})
}

// What no key could make good is refused, and asks the issuer for nothing.
func TestForgeriesCostNoFetch(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, ask(t, in, good))
		pass(time.Minute + time.Second)
		require.Equal(t, refused, ask(t, in, as.bogus("bogus", nil))) // now good is older than the keys
		fetches := as.fetches.Load()
		unsigned := func(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }
		for name, forged := range map[string]string{
			"known key":    unsigned(good) + b64(make([]byte, 64)...),
			"no signature": unsigned(as.bogus("bogus", nil)),
			"not base64":   unsigned(as.Mint(nil)) + "!!",
			"nor a name":   unsigned(as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent))) + "!!",
			"space first":  b64([]byte(" \r\n\t"+`{"alg":"ES256","kid":"bogus"`)...) + ".e30.AA",
		} {
			_, err := in.Introspect(t.Context(), forged)
			assert.ErrorIs(t, err, oauthz.ErrInvalidToken, name)
		}
		assert.Equal(t, fetches, as.fetches.Load())
	})
	t.Run("while the keys are fetched", func(t *testing.T) {
		bubble(t, func(t *testing.T, as *issuer) {
			as.answer(func(*http.Request) *http.Response { <-time.After(time.Second); return reply(200, string(as.JWKS())) })
			in := as.introspector(t)
			old := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-61 * time.Second)})
			assert.Equal(t, refused, ask(t, in, old[:strings.LastIndexByte(old, '.')+1]+b64(make([]byte, 64)...)))
			assert.Equal(t, int64(1), as.fetches.Load())
		})
	})
}

// A fetch that was under way may have missed a key: it is asked for once more,
// and what was issued during it counts as after it.
func TestKeyPublishedDuringAFetch(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		slow := func(*http.Request) *http.Response {
			set := string(as.JWKS())
			<-time.After(3 * time.Second)
			return reply(200, set)
		}
		as.answer(slow)
		in := as.introspector(t)
		pass(time.Second)
		as.Rotate()
		require.Equal(t, ok, ask(t, in, as.Mint(nil)), "found by the second fetch")
		require.Equal(t, int64(2), as.fetches.Load())
		pass(time.Minute + 500*time.Millisecond)
		go func() { assert.Equal(t, refused, ask(t, in, as.bogus("bogus", nil))) }()
		sameSecond := as.bogus("another", nil)
		pass(time.Second)
		as.Rotate()
		during := as.Mint(nil)
		pass(2 * time.Second)
		assert.Equal(t, unavailable("2"), ask(t, in, during))
		assert.Equal(t, unavailable("2"), ask(t, in, sameSecond))
	})
}

// Keys that never get too old, and keys that do, to the moment.
func TestAgeOfTheKeys(t *testing.T) {
	for age, last := range map[time.Duration]time.Duration{-1: 48 * time.Hour, time.Hour: time.Hour} {
		t.Run(age.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t, func(cfg *localjwt.Config) { cfg.MaxStale, cfg.RefreshInterval = age, time.Hour })
				require.Equal(t, ok, ask(t, in, as.Mint(nil)))
				as.answer(fixed(500, ""))
				pass(last)
				exp := time.Now().Add(time.Hour)
				got, err := in.Introspect(t.Context(), as.Mint(oauthztest.Claims{"exp": exp}))
				require.NoError(t, err)
				until, _ := got.Validity()
				assert.Equal(t, age < 0, until.Equal(exp.Add(time.Minute)), until)
				pass(1)
				assert.Equal(t, age < 0, in.Ready() == nil)
			})
		})
	}
}

// JW-13: an empty set is confirmed by the second answer, which is not asked for at
// once, and needs no confirmation again.
func TestEmptySetFromTheStart(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(*http.Request) *http.Response {
			<-time.After(time.Millisecond) // so that the first request comes while the first answer is awaited
			return reply(200, `{"keys":[]}`)
		})
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.UnknownKeyInterval = 10 * time.Second })
		old := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(time.Hour)})
		assert.Equal(t, unavailable("1"), ask(t, in, old), "no time that is past")
		pass(9 * time.Second)
		require.Equal(t, int64(1), as.fetches.Load())
		pass(2 * time.Second)
		require.Equal(t, int64(2), as.fetches.Load())
		for range 4 {
			assert.Equal(t, refused, ask(t, in, old))
			pass(time.Minute)
		}
		assert.Equal(t, int64(6), as.fetches.Load())
	})
}

// How often a server is asked that does not answer: pauses of up to 2, 4, 8, 16
// and 30 s, of which a quarter to the whole is waited.
func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		interval    time.Duration
		up          bool // before
		want, delta int  // in 10 minutes; the delta is five standard deviations
	}{
		"with keys":            {0, true, 35, 10},
		"none, short interval": {100 * time.Millisecond, false, 480, 40},
		"none, long interval":  {time.Hour, false, 35, 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(fixed(500, ""))
				in := as.introspector(t, func(c *localjwt.Config) { c.UnknownKeyInterval, c.RefreshInterval = tt.interval, 1000*time.Second })
				synctest.Wait()
				if tt.up { // a recovery begins anew
					pass(time.Minute)
					as.answer(nil)
					pass(time.Minute)
					as.answer(fixed(500, ""))
					require.Equal(t, 503, ask(t, in, as.bogus("bogus", nil)).status)
				}
				before := as.fetches.Load()
				pass(600*time.Second - 1)
				assert.InDelta(t, tt.want, as.fetches.Load()-before, float64(tt.delta))
			})
		})
	}
}

// The fetching ends with the context, and nobody is told that it failed.
func TestNothingAfterTheContext(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var logged lockedBuffer
		ctx, cancel := context.WithCancel(t.Context())
		in, err := localjwt.New(ctx, localjwt.Config{
			Issuer: as.Issuer(), Audience: []string{audience}, JWKSURL: as.JWKSURL(),
			HTTPClient: &http.Client{Transport: as}, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		require.NoError(t, err)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Minute)
		as.answer(hang)
		go func() { assert.Equal(t, 503, ask(t, in, as.bogus("bogus", nil)).status) }()
		synctest.Wait()
		cancel()
		pass(time.Minute)
		assert.NotContains(t, logged.String(), "cannot fetch")
	})
}

// What the log says of the keys: failures, recoveries, and what has changed.
func TestLog(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var logged lockedBuffer
		as.introspector(t, func(cfg *localjwt.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		before := 0
		said := func() string {
			pass(16 * time.Minute)
			all := logged.String()
			defer func() { before = len(all) }()
			return regexp.MustCompile(`time=\S+ |issuer=\S+ `).ReplaceAllString(all[before:], "")
		}
		info := func(keys int, changed bool) string {
			return fmt.Sprintf("level=INFO msg=\"oauthz: fetched the issuer's keys\" keys=%d changed=%t\n", keys, changed)
		}
		assert.Equal(t, info(1, true), said())
		assert.Empty(t, said(), "nothing new")
		as.Rotate()
		assert.Equal(t, info(2, true), said())
		as.Withdraw(as.Keys()[0])
		as.Rotate()
		assert.Equal(t, info(2, true), said(), "as many as before")
		as.answer(fixed(500, ""))
		assert.Contains(t, said(), `level=WARN msg="oauthz: cannot fetch the issuer's keys"`)
		as.answer(nil)
		assert.Equal(t, info(2, false), said(), "recovered")
		as.answer(fixed(200, strings.Replace(string(as.JWKS()), `[`, `[{},`, 1)))
		as.Rotate()
		assert.Empty(t, said(), "a key that is none is no change")
	})
}

// Discovery: the metadata is asked for every quarter of an hour, and what it
// says again costs no ETag; it is an answer with 200, at the path as it is spelt.
func TestDiscoveryOnTheEdge(t *testing.T) {
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
		require.Equal(t, ok, ask(t, in, as.Mint(oauthztest.Claims{"iss": "https://issuer.example/a%2Fb"})))
		assert.Equal(t, int64(1), whole.Load(), "then it is asked whether it has changed")
		assert.Equal(t, int64(4), metadata.Load())
		status = 404
		assert.Equal(t, 503, ask(t, as.introspector(t, discovering), as.Mint(nil)).status)
		as.answer(hang)
		start := time.Now()
		assert.Equal(t, 503, ask(t, as.introspector(t, discovering), as.Mint(nil)).status)
		assert.Less(t, time.Since(start), 4*time.Second, "the bound is that of all of it")
	})
}

func TestConfigOnTheEdge(t *testing.T) {
	t.Parallel()
	mine, algorithms := []string{audience}, []string{"ES256"}
	as, in := fixture(t, func(cfg *localjwt.Config) {
		cfg.Audience, cfg.Algorithms, cfg.Leeway, cfg.TenantClaim = mine, algorithms, -time.Hour, "org"
	})
	mine[0], algorithms[0] = "https://other.example", "RS256"
	assert.Equal(t, ok, askAt(t, in, as.Mint(oauthztest.Claims{"exp": at(time.Second)})), "as it was given; no tenant")
	assert.Equal(t, refused, askAt(t, in, as.Mint(oauthztest.Claims{"exp": noon})), "negative is none")
	for _, mark := range []string{"c_hash", "s_hash"} {
		assert.Equal(t, refused, askAt(t, in, as.Mint(oauthztest.Claims{mark: "x"}, oauthztest.WithHeader("typ", "JWT"))), mark)
	}
	fixture(t, func(cfg *localjwt.Config) { cfg.Leeway, cfg.MaxStale = oauthz.MaxLeeway, 15*time.Minute })
	for stale, issuer := range map[time.Duration]string{time.Minute: "https://issuer.example", time.Hour: "https://issuer.example?"} {
		_, err := localjwt.New(t.Context(), localjwt.Config{Issuer: issuer, Audience: mine, MaxStale: stale})
		assert.Error(t, err, issuer)
	}
}

// Of several issuers, each has limits of its own.
func TestByIssuerLimits(t *testing.T) {
	t.Parallel()
	a, narrow := fixture(t, func(cfg *localjwt.Config) { cfg.MaxTokenBytes, cfg.MaxHeaderBytes = 2048, 128 })
	b, wide := fixture(t)
	x := strings.Repeat("x", 1500)
	for _, both := range [][]*localjwt.Introspector{{narrow, wide}, {wide, narrow}} {
		in, err := localjwt.ByIssuer(both...)
		require.NoError(t, err)
		for _, opt := range []oauthztest.MintOption{oauthztest.WithHeader("x", x), oauthztest.WithHeader("x", "")} {
			assert.Equal(t, ok, askAt(t, in, b.Mint(oauthztest.Claims{"x": x}, opt)))
			assert.Equal(t, refused, askAt(t, in, a.Mint(oauthztest.Claims{"x": x}, opt)))
		}
		assert.Equal(t, ok, askAt(t, in, a.Mint(nil)))
	}
}
