package localjwt_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// Failed fetches, recoveries and changes of the keys are logged.
func TestLogOfFetches(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var logged lockedBuffer
		as.introspector(t, func(cfg *localjwt.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		before := 0
		newRecords := func() string {
			pass(16 * time.Minute)
			all := logged.String()
			defer func() { before = len(all) }()
			return regexp.MustCompile(`time=\S+ |issuer=\S+ `).ReplaceAllString(all[before:], "")
		}
		info := func(keys int, changed bool) string {
			return fmt.Sprintf("level=INFO msg=\"oauthz: fetched the issuer's keys\" keys=%d changed=%t\n", keys, changed)
		}
		assert.Equal(t, info(1, true), newRecords())
		assert.Empty(t, newRecords(), "nothing new")
		as.Rotate()
		assert.Equal(t, info(2, true), newRecords())
		as.Withdraw(as.Keys()[0])
		as.Rotate()
		assert.Equal(t, info(2, true), newRecords(), "the number of keys is the same")
		as.answer(fixed(500, ""))
		assert.Contains(t, newRecords(), `level=WARN msg="oauthz: cannot fetch the issuer's keys"`)
		as.answer(nil)
		assert.Equal(t, info(2, false), newRecords(), "recovered")
		as.answer(fixed(200, strings.Replace(string(as.JWKS()), `[`, `[{},`, 1)))
		as.Rotate()
		assert.Empty(t, newRecords(), "an unusable member is not a change")
	})
}

// The fetching ends with the context, and this end is not logged as a failure.
func TestNothingAfterTheContext(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var logged lockedBuffer
		ctx, cancel := context.WithCancel(t.Context())
		in, err := localjwt.New(ctx, localjwt.Config{
			Issuer: as.Issuer(), Audience: []string{audience}, JWKSURL: as.JWKSURL(),
			HTTPClient: &http.Client{Transport: as}, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		require.NoError(t, err)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Minute)
		as.answer(hang)
		go func() { assert.Equal(t, 503, send(t, in, as.mintUnknown("bogus", nil)).status) }()
		synctest.Wait()
		cancel()
		pass(time.Minute)
		assert.NotContains(t, logged.String(), "cannot fetch")
	})
}

// No part of a token or of an answer is in the log or in an error.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	as := server(t, oauthztest.Config{})
	var logged lockedBuffer
	in := discovering(t, as, func(cfg *localjwt.Config) { cfg.Logger = slog.New(slog.NewJSONHandler(&logged, nil)) })
	require.Equal(t, ok, send(t, in, as.Mint(nil)))
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

const privateKeysLogged = "holds private keys"

// A key that is published with its private members verifies. It is logged once,
// until the private members are gone.
func TestPublishedPrivateKeysAreLoggedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var logged lockedBuffer
		set := func(r *http.Request) *http.Response {
			tag := fmt.Sprintf(`"%x"`, sha256.Sum256(as.JWKS()))
			if r.Header.Get("If-None-Match") == tag {
				return reply(304, "")
			}
			return reply(200, string(as.JWKS()), "ETag", tag)
		}
		as.answer(set)
		warnings := func() int { return strings.Count(logged.String(), privateKeysLogged) }
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Hour)
		require.Zero(t, warnings())
		as.SetKeyMember("key-1", "d", "c2VjcmV0")
		pass(time.Hour)
		require.Equal(t, ok, send(t, in, as.Mint(nil)))
		require.Equal(t, 1, warnings(), "for four fetches")
		as.answer(fixed(500, ""))
		pass(time.Hour)
		as.answer(set)
		pass(time.Hour)
		as.Rotate()
		pass(time.Hour)
		require.Equal(t, 1, warnings())
		assert.NotContains(t, logged.String(), "c2VjcmV0")

		as.SetKeyMember("key-1", "d", oauthztest.Absent)
		pass(time.Hour)
		as.SetKeyMember("key-1", "d", "c2VjcmV0")
		pass(time.Hour)
		assert.Equal(t, 2, warnings())
	})
}

// The keys of a fixed set are logged too, for each private member (RFC 7518 §6.2.2,
// §6.3.2).
func TestPrivateKeysOfAFixedSetAreLogged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		member string
		value  any
		want   int
	}{
		{"d", "c2VjcmV0", 1}, {"p", "c2VjcmV0", 1}, {"q", "c2VjcmV0", 1}, {"d", "", 0}, {"d", nil, 0}, {"k", "c2VjcmV0", 0},
	} {
		as := server(t, oauthztest.Config{Algorithm: "ES256"})
		as.SetKeyMember(as.Keys()[0], tt.member, tt.value)
		var logged lockedBuffer
		in, err := localjwt.New(t.Context(), localjwt.Config{
			Issuer: as.Issuer(), Audience: []string{audience}, JWKS: as.JWKS(), Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		require.NoError(t, err)
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		assert.Equal(t, tt.want, strings.Count(logged.String(), privateKeysLogged), tt)
	}
}

// A panic in the logger does not end the process.
func TestPanicInTheLogger(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t, func(cfg *localjwt.Config) { cfg.Logger = panicking() })
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
		pass(time.Hour)
		assert.Equal(t, ok, send(t, in, as.Mint(nil)))
	})
}

// panicking returns a logger that panics.
func panicking() *slog.Logger { return slog.New(panicHandler{slog.DiscardHandler}) }

type panicHandler struct{ slog.Handler }

func (panicHandler) Enabled(context.Context, slog.Level) bool { return true }

func (panicHandler) Handle(context.Context, slog.Record) error { panic("logger") }

func (h panicHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
