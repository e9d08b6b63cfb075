package localjwt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// JW-01: a refresh that hangs delays no token whose key is known.
func TestJW01KnownKeyNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.FetchTimeout = 10 * time.Minute })
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		as.answer(hang)
		pass(16 * time.Minute) // a refresh is under way
		require.Equal(t, int64(2), as.fetches.Load())
		start := time.Now()
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		assert.Zero(t, time.Since(start))
	})
}

// JW-02: an unknown key waits for a hanging endpoint no longer than the bound,
// and nobody else does.
func TestJW02UnknownKeyWaitsWithinABound(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, ask(t, in, good))
		as.answer(hang)
		start := time.Now()
		var others sync.WaitGroup
		others.Go(func() {
			pass(time.Second)
			assert.Equal(t, ok, ask(t, in, good))
			assert.Equal(t, time.Second, time.Since(start))
		})
		assert.Equal(t, 503, ask(t, in, as.bogus("bogus", nil)).status)
		assert.Equal(t, 4*time.Second, time.Since(start))
		others.Wait()
	})
}

// JW-05, JW-06, JW-07: a redirect is not followed, wherever it leads, and the
// keys stay.
func TestJW05RedirectIsNotFollowed(t *testing.T) {
	for _, target := range []string{
		"https://evil.example/jwks", "http://issuer.example/jwks", "http://169.254.169.254/", "file:///etc/passwd", "/jwks",
	} {
		t.Run(target, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				require.Equal(t, ok, ask(t, in, as.Mint(nil)))
				before := as.fetches.Load()
				as.answer(fixed(302, "", "Location", target))
				assert.Equal(t, 503, ask(t, in, as.bogus("bogus", nil)).status)
				assert.Equal(t, before+1, as.fetches.Load())
				assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
			})
		})
	}
}

// JW-08: at a rotation, requests with the new key share one fetch, and all are
// answered.
func TestJW08RotationRefusesNobody(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		before := as.fetches.Load()
		as.Rotate()
		as.answer(func(*http.Request) *http.Response {
			pass(100 * time.Millisecond) // all of them are waiting by then
			return reply(200, string(as.JWKS()))
		})
		token := as.Mint(nil)
		answers := make([]answer, 50)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = ask(t, in, token) })
		}
		all.Wait()
		accepted := 0
		for _, a := range answers {
			if a == ok {
				accepted++
			}
		}
		t.Logf("accepted %d of 50, fetches %d", accepted, as.fetches.Load()-before)
		assert.Equal(t, 50, accepted)
		assert.Equal(t, before+1, as.fetches.Load())
	})
}

// JW-09: a key that is withdrawn verifies nothing any more, and what it had
// verified is no longer live. Keys that stay are not touched by it.
func TestJW09WithdrawnKeyIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		old := as.Keys()[0]
		token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
		remembered, err := in.Introspect(t.Context(), token)
		require.NoError(t, err)
		as.Rotate()
		kept, err := in.Introspect(t.Context(), as.Mint(nil))
		require.NoError(t, err)
		_, live := remembered.Validity()
		require.True(t, live)

		as.Withdraw(old)
		pass(16 * time.Minute)
		assert.Equal(t, refused, ask(t, in, token))
		_, live = remembered.Validity()
		assert.False(t, live)
		_, live = kept.Validity()
		assert.True(t, live)
	})
}

// JW-10: the last good keys serve through an outage, until they are too old;
// then nothing is known of any token, until the issuer is back.
func TestJW10OutageIsTolerated(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		as.answer(fixed(500, "down"))
		pass(24*time.Hour - time.Minute)
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		assert.NoError(t, in.Ready())
		token, err := in.Introspect(t.Context(), as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)}))
		require.NoError(t, err)
		until, _ := token.Validity()
		assert.WithinDuration(t, time.Now().Add(time.Minute), until, time.Second, "a cache may not serve it longer either")
		pass(2 * time.Minute)
		assert.Equal(t, 503, ask(t, in, as.Mint(nil)).status)
		assert.Error(t, in.Ready())
		as.answer(nil)
		pass(31 * time.Second)
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		assert.NoError(t, in.Ready())
	})
}

// JW-11: an unchanged set is not sent again; the keys are as fresh as if it had.
func TestJW11NotModified(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == `"v1"` {
				return reply(304, "")
			}
			return reply(200, string(as.JWKS()), "ETag", `"v1"`)
		})
		in := as.introspector(t)
		for range 30 {
			require.Equal(t, ok, ask(t, in, as.Mint(nil)))
			pass(time.Hour)
		}
		assert.NoError(t, in.Ready(), "fresh for 30 hours, by 304 alone")
	})
	t.Run("without a set before", func(t *testing.T) {
		bubble(t, func(t *testing.T, as *issuer) {
			as.answer(fixed(304, ""))
			assert.Equal(t, 503, ask(t, as.introspector(t), as.Mint(nil)).status)
		})
	})
}

// JW-12, JW-13, JW-27 and the statuses that are not 200: the answer is a failed
// fetch, and the last good keys stay.
func TestJW13NonsenseKeepsTheKeys(t *testing.T) {
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
				require.Equal(t, ok, ask(t, in, as.Mint(nil)))
				as.answer(nonsense)
				pass(time.Hour) // and no number of repetitions makes it a key set
				assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
				assert.Equal(t, 503, ask(t, in, as.bogus("bogus", nil)).status)
			})
		})
	}
}

// JW-13: all keys are withdrawn if the server says so twice in a row.
func TestJW13EmptySetIsTakenTheSecondTime(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		token := as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
		require.Equal(t, ok, ask(t, in, token))
		as.answer(fixed(200, `{"keys":[]}`))
		unknown := as.bogus("bogus", oauthztest.Claims{"iat": time.Now().Add(-time.Hour), "exp": time.Now().Add(time.Hour)})
		require.Equal(t, 503, ask(t, in, unknown).status) // asks for the first answer
		assert.Equal(t, ok, ask(t, in, token))
		pass(6 * time.Second) // and the second comes by itself
		assert.Equal(t, refused, ask(t, in, token))
	})
	t.Run("not if keys came between", func(t *testing.T) {
		bubble(t, func(t *testing.T, as *issuer) {
			in := as.introspector(t)
			require.Equal(t, ok, ask(t, in, as.Mint(nil)))
			for range 3 {
				as.answer(fixed(200, `{"keys":[]}`))
				require.Equal(t, 503, ask(t, in, as.bogus("bogus", nil)).status)
				as.answer(nil)
				pass(time.Minute)
				require.Equal(t, ok, ask(t, in, as.Mint(nil)))
			}
		})
	})
}

// JW-14, JW-19: a set over a cap is a failed fetch.
func TestJW14CapsAreFailedFetches(t *testing.T) {
	key := `{"kty":"EC","crv":"P-256","x":"","y":""},`
	for name, body := range map[string]string{
		"bytes": `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
		"keys":  `{"keys":[` + strings.Repeat(key, 512) + strings.TrimSuffix(key, ",") + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				require.Equal(t, ok, ask(t, in, as.Mint(nil)))
				as.answer(fixed(200, body))
				pass(time.Hour)
				assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
			})
		})
	}
}

// JW-15: the client that caused a fetch goes away; the fetch goes on, and those
// who wait with it get its result.
func TestJW15FetchBelongsToNobody(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		as.Rotate()
		token := as.Mint(nil)
		release := make(chan struct{})
		as.answer(func(*http.Request) *http.Response {
			<-release
			return reply(200, string(as.JWKS()))
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := in.Introspect(ctx, token)
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() { assert.Equal(t, ok, ask(t, in, token)) })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		all.Wait()
	})
}

// JW-16, JW-17: ten thousand forged key names cost the issuer one fetch an
// interval; a genuine new key works within the interval, and until then its
// tokens get 503, never 401.
func TestJW17ForgedKeyNamesStarveNobody(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Minute)
		before := as.fetches.Load()
		forged := as.bogus("forged", oauthztest.Claims{"iat": time.Now().Add(-2 * time.Minute)})
		for range 10_000 {
			require.Equal(t, refused, ask(t, in, forged))
		}
		assert.Equal(t, before+1, as.fetches.Load(), "fetches for 10,000 forged names")

		pass(time.Second)
		as.Rotate()
		token := as.Mint(nil)
		told := 0
		for start := time.Now(); ; {
			got := ask(t, in, token)
			if got == ok {
				t.Logf("genuine key usable after %v, told to come back %d times, refused never", time.Since(start), told)
				assert.LessOrEqual(t, time.Since(start), 5*time.Second)
				break
			}
			require.Equal(t, 503, got.status)
			told++
			wait, err := time.ParseDuration(got.retryAfter + "s")
			require.NoError(t, err)
			pass(wait)
		}
		assert.Equal(t, 1, told, "Retry-After names the slot")
		assert.Equal(t, before+2, as.fetches.Load())
	})
}

// A fetch that ends between the moment that a request looks for its key and the
// moment that it asks for newer ones has brought the key: the request is not
// measured against keys that it was never tried with.
func TestFetchThatEndsInBetween(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var in *localjwt.Introspector
		var between func()
		in = as.introspector(t, func(cfg *localjwt.Config) {
			cfg.Now = func() time.Time {
				if f := between; f != nil { // the request has looked at the keys of before
					between = nil
					f()
				}
				return time.Now()
			}
		})
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Minute)
		as.Rotate()
		token := as.Mint(oauthztest.Claims{"iat": time.Now().Add(-10 * time.Second)})
		between = func() { assert.Equal(t, ok, ask(t, in, token)) }
		assert.Equal(t, ok, ask(t, in, token))
		assert.Nil(t, between)
	})
}

// JW-16: within the interval, what could not have been signed by a newer key is
// refused at once.
func TestJW16OlderThanTheKeysIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Minute)
		require.Equal(t, refused, ask(t, in, as.bogus("a", nil)), "the fetch that it caused is the answer")
		assert.Equal(t, refused, ask(t, in, as.bogus("b", oauthztest.Claims{"iat": time.Now().Add(-61 * time.Second)})))
		assert.Equal(t, unavailable("5"), ask(t, in, as.bogus("b", oauthztest.Claims{"iat": time.Now().Add(-60 * time.Second)})), "by the leeway")
		assert.Equal(t, refused, ask(t, in, as.bogus("c", oauthztest.Claims{"iat": oauthztest.Absent})))
		assert.Equal(t, refused, ask(t, in, as.bogus("d", oauthztest.Claims{"iat": "now"})))
		assert.Equal(t, unavailable("5"), ask(t, in, as.bogus("e", oauthztest.Claims{"iat": time.Now()})))
		pass(2 * time.Second)
		assert.Equal(t, unavailable("3"), ask(t, in, as.bogus("f", nil)))
	})
}

// JW-18: a refusal for an unknown key is not remembered.
func TestJW18UnknownKeyIsNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		require.Equal(t, ok, ask(t, in, as.Mint(nil)))
		pass(time.Minute)
		kid := as.RotateUnpublished()
		token := as.Mint(nil)
		require.Equal(t, refused, ask(t, in, token))
		pass(time.Second)
		as.Publish(kid)
		pass(5 * time.Second)
		assert.Equal(t, ok, ask(t, in, token))
	})
}

// JW-24: an issuer that is down at the start is no reason to fail, or to refuse;
// it is found when it comes up, without a request that would ask for it.
func TestJW24IssuerDownAtStart(t *testing.T) {
	for name, opts := range map[string][]oauthztest.MintOption{
		"with kid":    nil,
		"without kid": {oauthztest.WithHeader("kid", oauthztest.Absent)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(fixed(502, ""))
				in := as.introspector(t)
				assert.Equal(t, 503, ask(t, in, as.Mint(nil, opts...)).status)
				assert.Error(t, in.Ready())
				pass(7 * time.Second)
				assert.Equal(t, 503, ask(t, in, as.Mint(nil, opts...)).status)
				as.answer(nil)
				pass(5 * time.Second)
				require.NoError(t, in.Ready())
				fetches := as.fetches.Load()
				assert.Equal(t, ok, ask(t, in, as.Mint(nil, opts...)))
				assert.Equal(t, fetches, as.fetches.Load(), "the keys were there already")
			})
		})
	}
}

// A key set without names: a rotation is found when no key fits.
func TestRotationWithoutKeyNames(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		unnamed := func(*http.Request) *http.Response {
			return reply(200, strings.ReplaceAll(string(as.JWKS()), `"kid":`, `"x-kid":`))
		}
		as.answer(unnamed)
		in := as.introspector(t)
		mint := func() string { return as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent)) }
		require.Equal(t, ok, ask(t, in, mint()))
		pass(time.Minute)
		old := as.Keys()[0]
		as.Rotate()
		as.Withdraw(old)
		assert.Equal(t, ok, ask(t, in, mint()))
	})
}

// JW-26: Cache-Control moves the next fetch, between one minute and one hour;
// fetches are spread over the second half of that time.
func TestJW26CacheControlIsClamped(t *testing.T) {
	tests := []struct {
		cacheControl string
		within       [2]time.Duration // the next fetch is not before, and not after
	}{
		{"", [2]time.Duration{450 * time.Second, 15 * time.Minute}},
		{"public", [2]time.Duration{450 * time.Second, 15 * time.Minute}},
		{"max-age=600", [2]time.Duration{5 * time.Minute, 10 * time.Minute}},
		{`Public, MAX-AGE="600"`, [2]time.Duration{5 * time.Minute, 10 * time.Minute}},
		{"max-age=0", [2]time.Duration{30 * time.Second, time.Minute}},
		{"no-store", [2]time.Duration{30 * time.Second, time.Minute}},
		{"no-cache, max-age=600", [2]time.Duration{30 * time.Second, time.Minute}},
		{"max-age=-5", [2]time.Duration{30 * time.Second, time.Minute}},
		{"max-age=soon", [2]time.Duration{30 * time.Second, time.Minute}},
		{"max-age=1000000000000", [2]time.Duration{30 * time.Minute, time.Hour}},
		{"max-age=99999999999999999999999", [2]time.Duration{30 * time.Minute, time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.cacheControl, func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(func(*http.Request) *http.Response {
					return reply(200, string(as.JWKS()), "Cache-Control", tt.cacheControl)
				})
				as.introspector(t)
				synctest.Wait()
				require.Equal(t, int64(1), as.fetches.Load())
				pass(tt.within[0] - time.Second)
				assert.Equal(t, int64(1), as.fetches.Load(), "too early")
				pass(tt.within[1] - tt.within[0] + time.Second)
				assert.Equal(t, int64(2), as.fetches.Load(), "too late")
			})
		})
	}
}

// A panic in the caller's transport is a failed fetch: it would end the process.
func TestPanicInTheTransport(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		as.answer(func(*http.Request) *http.Response { panic("transport") })
		in := as.introspector(t)
		assert.Equal(t, 503, ask(t, in, as.Mint(nil)).status)
		as.answer(nil)
		pass(10 * time.Second)
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
	})
}

// JW-20: keys that share a name are told apart by their kind, and tried where
// they are of one kind.
func TestJW20KeysThatShareAName(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{})
	t.Cleanup(as.Close)
	tokens := []string{
		as.Mint(nil, oauthztest.WithHeader("kid", "same")),
		as.Mint(nil, oauthztest.WithAlgorithm("ES256"), oauthztest.WithHeader("kid", "same")),
	}
	as.Rotate()
	tokens = append(tokens, as.Mint(nil, oauthztest.WithHeader("kid", "same")))
	for _, kid := range as.Keys() {
		as.SetKeyMember(kid, "kid", "same")
	}
	in := fixedKeys(t, as, string(as.JWKS()))
	for i, token := range tokens {
		assert.Equal(t, ok, ask(t, in, token), "token %d", i)
	}
	stranger := oauthztest.NewServer(oauthztest.Config{})
	t.Cleanup(stranger.Close)
	foreign := stranger.Mint(oauthztest.Claims{"iss": as.Issuer()}, oauthztest.WithHeader("kid", "same"))
	assert.Equal(t, refused, ask(t, in, foreign))
}

// JW-19: of the keys that fit a token without kid, at most four are tried.
func TestJW19FewKeysAreTriedWithoutAName(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(as.Close)
	var tokens []string
	for range 5 {
		tokens = append(tokens, as.Mint(nil, oauthztest.WithHeader("kid", oauthztest.Absent)))
		as.Rotate()
	}
	in := fixedKeys(t, as, string(as.JWKS()))
	for i, token := range tokens {
		want := ok
		if i == 4 {
			want = refused
		}
		assert.Equal(t, want, ask(t, in, token), "signed with key %d of 6", i+1)
	}
}

// JW-21, JW-22, JW-23: members that are no usable keys are skipped, and nothing
// is verified with them.
func TestJW23OneBadKeyTakesNoOtherDown(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256"})
	t.Cleanup(as.Close)
	token := as.Mint(nil)
	good := string(as.JWKS()[len(`{"keys":[`) : len(as.JWKS())-len(`]}`)])
	for name, bad := range map[string]string{
		"null": `null`, "string": `"key"`, "array": `[]`, "empty": `{}`,
		"unknown kty":   `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`,
		"unknown crv":   `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`,
		"symmetric":     `{"kty":"oct","k":"c2VjcmV0"}`,
		"kty a number":  `{"kty":1}`,
		"kid a number":  strings.Replace(good, `"kid":"`, `"kid":1,"k2":"`, 1),
		"no verify":     strings.Replace(good, `"use":"sig"`, `"key_ops":["sign"]`, 1),
		"encryption":    strings.Replace(good, `"use":"sig"`, `"use":"enc"`, 1),
		"unknown alg":   strings.Replace(good, `"alg":"ES256"`, `"alg":"ES256K"`, 1),
		"other alg":     strings.Replace(good, `"alg":"ES256"`, `"alg":"ES384"`, 1),
		"upper case":    strings.Replace(good, `"kty"`, `"KTY"`, 1),
		"padded number": strings.Replace(good, `"x":"`, `"x":"=`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEqual(t, good, bad)
			assert.Equal(t, ok, ask(t, fixedKeys(t, as, fmt.Sprintf(`{"keys":[%s,%s]}`, bad, good)), token))
			_, err := localjwt.New(t.Context(), localjwt.Config{
				Issuer: as.Issuer(), Audience: []string{audience}, JWKS: json.RawMessage(fmt.Sprintf(`{"keys":[%s]}`, bad)),
			})
			assert.EqualError(t, err, "localjwt: config: JWKS: jose: no usable key in the set")
		})
	}
}

func fixedKeys(t *testing.T, as *oauthztest.Server, set string) *localjwt.Introspector {
	t.Helper()
	in, err := localjwt.New(t.Context(), localjwt.Config{Issuer: as.Issuer(), Audience: []string{audience}, JWKS: json.RawMessage(set)})
	require.NoError(t, err)
	return in
}
