package remote_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

const (
	signedMedia = "application/token-introspection+jwt"
	signedTyp   = "token-introspection+jwt"
)

// signing is a server whose endpoint answers with what sign returns.
func signing(t *testing.T, sign func(as *oauthztest.Server) (contentType, body string)) (*oauthztest.Server, *endpoint, *remote.Introspector) {
	t.Helper()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: func() time.Time { return noon }})
	t.Cleanup(as.Close)
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		contentType, body := sign(as)
		says(200, body, "Content-Type", contentType)(w, r)
	})
	in := e.introspector(t, func(c *remote.Config) {
		c.Issuer, c.Signed = as.Issuer(), &remote.Signed{Audience: "api"}
	})
	return as, e, in
}

// mintAnswer is a signed answer that is right but for the claims given.
func mintAnswer(as *oauthztest.Server, claims oauthztest.Claims, opts ...oauthztest.MintOption) string {
	absent := oauthztest.Absent
	all := oauthztest.Claims{
		"aud": "api", "sub": absent, "client_id": absent, "exp": absent, "jti": absent,
		"token_introspection": map[string]any{"active": true, "aud": audience, "sub": "alice", "scope": "read"},
	}
	for name, value := range claims {
		all[name] = value
	}
	return as.Mint(all, append([]oauthztest.MintOption{oauthztest.WithHeader("typ", signedTyp)}, opts...)...)
}

// TestSignedAnswers: IJ-01 to IJ-08, IJ-10 and IJ-12, RFC 9701 §5. Only an answer
// that the issuer signed, for us and now, decides about the token. Any other is a
// fault.
func TestSignedAnswers(t *testing.T) {
	t.Parallel()
	absent := oauthztest.Absent
	claims := func(c oauthztest.Claims, opts ...oauthztest.MintOption) func(*oauthztest.Server) (string, string) {
		return func(as *oauthztest.Server) (string, string) {
			return signedMedia + "; charset=utf-8", mintAnswer(as, c, opts...)
		}
	}
	with := func(introspection any) func(*oauthztest.Server) (string, string) {
		return claims(oauthztest.Claims{"token_introspection": introspection})
	}
	stranger := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: func() time.Time { return noon }})
	t.Cleanup(stranger.Close)
	tests := []struct {
		name string
		sign func(*oauthztest.Server) (contentType, body string)
		want answer
	}{
		{"signed", claims(nil), ok},
		{"nulls inside are absent", with(map[string]any{"active": true, "aud": audience, "sub": nil, "exp": nil}), ok},
		{"null inside", with(nil), fault},
		{"inactive", with(map[string]any{"active": false}), invalid},
		{"nonsense inside", with(map[string]any{"active": "true"}), fault},
		{"expired inside", with(map[string]any{"active": true, "aud": audience, "exp": noon.Add(-time.Hour).Unix()}), expired},
		{"not valid yet inside", with(map[string]any{"active": true, "aud": audience, "nbf": noon.Add(time.Hour).Unix()}), invalid},
		{"refresh token inside", with(map[string]any{"active": true, "aud": audience, "token_type": "refresh_token"}), invalid},
		{"other audience inside", with(map[string]any{"active": true, "aud": "https://other.example"}), invalid},
		{"IJ-01 typ", claims(nil, oauthztest.WithHeader("typ", "JWT")), fault},
		{"IJ-01 no typ", claims(nil, oauthztest.WithHeader("typ", absent)), fault},
		{"IJ-02 for another", claims(oauthztest.Claims{"aud": "other"}), fault},
		{"IJ-02 for nobody", claims(oauthztest.Claims{"aud": absent}), fault},
		{"IJ-03 other issuer", claims(oauthztest.Claims{"iss": "https://other.example"}), fault},
		{"IJ-04 no token_introspection", claims(oauthztest.Claims{"token_introspection": absent}), fault},
		{"IJ-04 not an object", with("active"), fault},
		{"IJ-05 active at the top", claims(oauthztest.Claims{"token_introspection": absent, "active": true}), fault},
		{"IJ-06 HS256", claims(nil, oauthztest.WithHeader("alg", "HS256")), fault},
		{"IJ-06 none", claims(nil, oauthztest.WithHeader("alg", "none")), fault},
		{"IJ-06 other key", func(as *oauthztest.Server) (string, string) {
			return signedMedia, mintAnswer(stranger, oauthztest.Claims{"iss": as.Issuer()})
		}, fault},
		{"IJ-08 JWT as JSON", func(as *oauthztest.Server) (string, string) { return "application/json", mintAnswer(as, nil) }, fault},
		{"IJ-08 JSON as JWT", func(*oauthztest.Server) (string, string) { return signedMedia, good }, fault},
		{"IJ-10 downgrade", func(*oauthztest.Server) (string, string) { return "application/json", good }, fault},
		{"IJ-11 encrypted", func(*oauthztest.Server) (string, string) { return signedMedia, "eyJhbGciOiJkaXIifQ.a.b.c.d" }, fault},
		{"IJ-12 old", claims(oauthztest.Claims{"iat": noon.Add(-7 * time.Minute)}), fault},
		{"IJ-12 of the future", claims(oauthztest.Claims{"iat": noon.Add(2 * time.Minute)}), fault},
		{"IJ-12 over", claims(oauthztest.Claims{"exp": noon.Add(-time.Hour)}), fault},
		{"IJ-12 not valid yet", claims(oauthztest.Claims{"nbf": noon.Add(time.Hour)}), fault},
		{"IJ-12 undated", claims(oauthztest.Claims{"iat": absent}), fault},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, e, in := signing(t, tt.sign)
			assert.Equal(t, tt.want, ask(t, in, "opaque"))
			assert.Equal(t, signedMedia, e.asked()[0].header.Get("Accept"), "and nothing beside it")
		})
	}
}

// The keys of signed answers are as calm as others: none, and nothing is known.
func TestSignedAnswersWithoutKeys(t *testing.T) {
	t.Parallel()
	as, _, in := signing(t, func(as *oauthztest.Server) (string, string) { return signedMedia, mintAnswer(as, nil) })
	as.Inject(oauthztest.JWKS, oauthztest.Status(500))
	assert.Equal(t, 503, ask(t, in, "opaque").status)
}

// IJ-07: the same answer for another token is another question to the cache and
// to the hash.
func TestSignedAnswerIsForOneToken(t *testing.T) {
	t.Parallel()
	_, _, in := signing(t, func(as *oauthztest.Server) (string, string) { return signedMedia, mintAnswer(as, nil) })
	one, err := in.Introspect(t.Context(), "one")
	require.NoError(t, err)
	two, err := in.Introspect(t.Context(), "two")
	require.NoError(t, err)
	a, _ := one.Claim(oauthz.MatchTokenHash)
	b, _ := two.Claim(oauthz.MatchTokenHash)
	assert.NotEqual(t, a, b)
	assert.Equal(t, `"`+oauthz.TokenHash("one")+`"`, string(a))
}

// A token is not refused for an answer that cannot be believed, and no cache
// remembers one: with the next answer the token is accepted.
func TestAnswersThatCannotBeBelievedAreNotRemembered(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func(as *oauthztest.Server) (status int, contentType, body string){
		"signature": func(as *oauthztest.Server) (int, string, string) {
			return 200, signedMedia, corrupted(mintAnswer(as, nil))
		},
		"unknown key": func(as *oauthztest.Server) (int, string, string) {
			return 200, signedMedia, mintAnswer(as, nil, oauthztest.WithHeader("kid", "unknown"))
		},
		"for another": func(as *oauthztest.Server) (int, string, string) {
			return 200, signedMedia, mintAnswer(as, oauthztest.Claims{"aud": "other"})
		},
		"old": func(as *oauthztest.Server) (int, string, string) {
			return 200, signedMedia, mintAnswer(as, oauthztest.Claims{"iat": noon.Add(-time.Hour)})
		},
		"inactive, not signed": func(*oauthztest.Server) (int, string, string) {
			return 200, "application/json", `{"active":false}`
		},
		"an error, not signed": func(*oauthztest.Server) (int, string, string) {
			return 400, "application/json", `{"error":"unsupported_token_type"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as, e, in := signing(t, func(as *oauthztest.Server) (string, string) { return signedMedia, mintAnswer(as, nil) })
			good := e.answer
			status, contentType, body := bad(as)
			e.set(says(status, body, "Content-Type", contentType))
			remembers, err := cache.New(in, cache.Config{Now: func() time.Time { return noon }})
			require.NoError(t, err)
			t.Cleanup(func() { _ = remembers.Close() })
			assert.Equal(t, fault, ask(t, remembers, "opaque"))
			e.set(good)
			assert.Equal(t, ok, ask(t, remembers, "opaque"))
		})
	}
}

// corrupted is a JWS whose signature does not verify any more.
func corrupted(jws string) string {
	last := strings.LastIndexByte(jws, '.') + 1
	if jws[last] == 'A' {
		return jws[:last] + "B" + jws[last+1:]
	}
	return jws[:last] + "A" + jws[last+1:]
}

// An answer under a key that is not known fetches the keys, at most once in a
// while: until the key is published, the answer is a fault that names a time.
func TestSignedAnswersUnderANewKey(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	now := func() time.Time { return noon.Add(time.Duration(clock.Load())) }
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: now})
	t.Cleanup(as.Close)
	as.Keys()
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		says(200, mintAnswer(as, nil), "Content-Type", signedMedia)(w, r)
	})
	in := e.introspector(t, func(c *remote.Config) {
		c.Issuer, c.Signed, c.Now = as.Issuer(), &remote.Signed{Audience: "api"}, now
	})
	assert.Equal(t, ok, ask(t, in, "a"))
	as.Rotate()
	assert.Equal(t, ok, ask(t, in, "b"), "fetched for it")
	kid := as.RotateUnpublished()
	clock.Add(int64(6 * time.Second))
	assert.Equal(t, fault, ask(t, in, "c"), "fetched for it, in vain")
	as.Publish(kid)
	clock.Add(int64(2 * time.Second))
	assert.Equal(t, answer{status: 503, retryAfter: "3"}, ask(t, in, "d"), "just asked for the keys")
	clock.Add(int64(4 * time.Second))
	assert.Equal(t, ok, ask(t, in, "e"))
}
