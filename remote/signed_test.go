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

// The age of a signed answer and the leeway, to the second, and its size.
func TestSignedAnswersAtTheirBounds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age    time.Duration // 0: the default
		iat    time.Duration
		header string
		want   answer
	}{
		"default age":      {0, -6 * time.Minute, "", ok},
		"longer age":       {time.Hour, -61 * time.Minute, "", ok},
		"older than that":  {time.Hour, -61*time.Minute - time.Second, "", fault},
		"in the future":    {0, time.Minute, "", ok},
		"header too large": {0, 0, strings.Repeat("x", 9<<10), fault},
	} {
		as, e, _ := signing(t, func(as *oauthztest.Server) (string, string) {
			return signedMedia, mintAnswer(as, oauthztest.Claims{"iat": noon.Add(tt.iat)}, oauthztest.WithHeader("x", tt.header))
		})
		in := e.introspector(t, func(c *remote.Config) {
			c.Issuer, c.Signed = as.Issuer(), &remote.Signed{Audience: "api", MaxAge: tt.age, JWKSURL: as.JWKSURL()}
		})
		assert.Equal(t, tt.want, ask(t, in, "opaque"), name)
	}
}

// A signed answer is valid only as long as the key that signed it is published, and
// only between its own nbf and exp.
func TestSignedAnswerIsValidAsLongAsItsKey(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]oauthztest.Claims{
		"expired": {"exp": noon.Add(-2 * time.Minute)}, "not valid yet": {"nbf": noon.Add(2 * time.Minute)},
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

const (
	signedMedia = "application/token-introspection+jwt"
	signedTyp   = "token-introspection+jwt"
)

// signing returns a server, an endpoint that answers with the result of sign, and an
// introspector for it.
func signing(t *testing.T, sign func(as *oauthztest.Server) (contentType, body string)) (*oauthztest.Server, *endpoint, *remote.Introspector) {
	t.Helper()
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: func() time.Time { return noon }})
	t.Cleanup(as.Close)
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		contentType, body := sign(as)
		respond(200, body, "Content-Type", contentType)(w, r)
	})
	in := e.introspector(t, func(c *remote.Config) {
		c.Issuer, c.Signed = as.Issuer(), &remote.Signed{Audience: "api"}
	})
	return as, e, in
}

// mintAnswer returns a signed answer that is valid except for claims.
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

// signedCase is an answer of a server, and the response of the Guard.
type signedCase struct {
	name string
	sign func(*oauthztest.Server) (contentType, body string)
	want answer
}

// withClaims returns the sign of an answer that mintAnswer mints.
func withClaims(c oauthztest.Claims, opts ...oauthztest.MintOption) func(*oauthztest.Server) (string, string) {
	return func(as *oauthztest.Server) (string, string) {
		return signedMedia + "; charset=utf-8", mintAnswer(as, c, opts...)
	}
}

// withIntrospection returns the sign of an answer with that token_introspection.
func withIntrospection(introspection any) func(*oauthztest.Server) (string, string) {
	return withClaims(oauthztest.Claims{"token_introspection": introspection})
}

// casesOfSignedVerdicts returns signed answers with different verdicts.
func casesOfSignedVerdicts() []signedCase {
	return []signedCase{
		{"signed", withClaims(nil), ok},
		{"nulls inside are absent", withIntrospection(map[string]any{"active": true, "aud": audience, "sub": nil, "exp": nil}), ok},
		{"null inside", withIntrospection(nil), fault},
		{"inactive", withIntrospection(map[string]any{"active": false}), invalid},
		{"nonsense inside", withIntrospection(map[string]any{"active": "true"}), fault},
		{"expired inside", withIntrospection(map[string]any{"active": true, "aud": audience, "exp": noon.Add(-time.Hour).Unix()}), expired},
		{"not valid yet inside", withIntrospection(map[string]any{"active": true, "aud": audience, "nbf": noon.Add(time.Hour).Unix()}), invalid},
		{"refresh token inside", withIntrospection(map[string]any{"active": true, "aud": audience, "token_type": "refresh_token"}), invalid},
		{"other audience inside", withIntrospection(map[string]any{"active": true, "aud": "https://other.example"}), invalid},
	}
}

// casesOfSignedEnvelopes returns answers that do not verify, and are faults.
func casesOfSignedEnvelopes(t *testing.T) []signedCase {
	t.Helper()
	absent := oauthztest.Absent
	stranger := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: func() time.Time { return noon }})
	t.Cleanup(stranger.Close)
	return []signedCase{
		{"another typ", withClaims(nil, oauthztest.WithHeader("typ", "JWT")), fault},
		{"no typ", withClaims(nil, oauthztest.WithHeader("typ", absent)), fault},
		{"for another audience", withClaims(oauthztest.Claims{"aud": "other"}), fault},
		{"without an audience", withClaims(oauthztest.Claims{"aud": absent}), fault},
		{"another issuer", withClaims(oauthztest.Claims{"iss": "https://other.example"}), fault},
		{"no token_introspection", withClaims(oauthztest.Claims{"token_introspection": absent}), fault},
		{"token_introspection not an object", withIntrospection("active"), fault},
		{"active at the top", withClaims(oauthztest.Claims{"token_introspection": absent, "active": true}), fault},
		{"alg HS256", withClaims(nil, oauthztest.WithHeader("alg", "HS256")), fault},
		{"alg none", withClaims(nil, oauthztest.WithHeader("alg", "none")), fault},
		{"a key of another issuer", func(as *oauthztest.Server) (string, string) {
			return signedMedia, mintAnswer(stranger, oauthztest.Claims{"iss": as.Issuer()})
		}, fault},
		{"JWT as JSON", func(as *oauthztest.Server) (string, string) { return "application/json", mintAnswer(as, nil) }, fault},
		{"JSON as JWT", func(*oauthztest.Server) (string, string) { return signedMedia, good }, fault},
		{"downgrade to JSON", func(*oauthztest.Server) (string, string) { return "application/json", good }, fault},
		{"encrypted", func(*oauthztest.Server) (string, string) { return signedMedia, "eyJhbGciOiJkaXIifQ.a.b.c.d" }, fault},
		{"too old", withClaims(oauthztest.Claims{"iat": noon.Add(-7 * time.Minute)}), fault},
		{"issued in the future", withClaims(oauthztest.Claims{"iat": noon.Add(2 * time.Minute)}), fault},
		{"expired", withClaims(oauthztest.Claims{"exp": noon.Add(-time.Hour)}), fault},
		{"not valid yet", withClaims(oauthztest.Claims{"nbf": noon.Add(time.Hour)}), fault},
		{"without iat", withClaims(oauthztest.Claims{"iat": absent}), fault},
	}
}

// RFC 9701 §5: only an answer that the issuer signed, for this API and recently,
// decides about the token. Any other answer is a fault.
func TestSignedAnswersAreVerified(t *testing.T) {
	t.Parallel()
	for _, tt := range append(casesOfSignedVerdicts(), casesOfSignedEnvelopes(t)...) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, e, in := signing(t, tt.sign)
			assert.Equal(t, tt.want, ask(t, in, "opaque"))
			assert.Equal(t, signedMedia, e.received()[0].header.Get("Accept"), "and no other type")
		})
	}
}

// Without keys, nothing is known of the token.
func TestSignedAnswersWithoutKeysAreFaults(t *testing.T) {
	t.Parallel()
	as, _, in := signing(t, func(as *oauthztest.Server) (string, string) { return signedMedia, mintAnswer(as, nil) })
	as.Inject(oauthztest.EndpointJWKS, oauthztest.Status(500))
	assert.Equal(t, 503, ask(t, in, "opaque").status)
}

// The same answer for two tokens gives two tokens with different hashes.
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

// An answer that does not verify does not refuse the token, and no cache stores it:
// with the next answer the token is accepted.
func TestAnswersThatDoNotVerifyAreNotCached(t *testing.T) {
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
			e.set(respond(status, body, "Content-Type", contentType))
			cached, err := cache.New(in, cache.Config{Now: func() time.Time { return noon }})
			require.NoError(t, err)
			t.Cleanup(func() { _ = cached.Close() })
			assert.Equal(t, fault, ask(t, cached, "opaque"))
			e.set(good)
			assert.Equal(t, ok, ask(t, cached, "opaque"))
		})
	}
}

// corrupted returns jws with a signature that does not verify.
func corrupted(jws string) string {
	last := strings.LastIndexByte(jws, '.') + 1
	if jws[last] == 'A' {
		return jws[:last] + "B" + jws[last+1:]
	}
	return jws[:last] + "A" + jws[last+1:]
}

// An answer under an unknown key causes a fetch of the keys, at most once in five
// seconds. Until the key is published, the answer is a fault with a RetryAfter.
func TestUnknownKeyFetchesTheKeys(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	now := func() time.Time { return noon.Add(time.Duration(clock.Load())) }
	as := oauthztest.NewServer(oauthztest.Config{Algorithm: "ES256", Now: now})
	t.Cleanup(as.Close)
	as.Keys()
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		respond(200, mintAnswer(as, nil), "Content-Type", signedMedia)(w, r)
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
	assert.Equal(t, answer{status: 503, retryAfter: "3"}, ask(t, in, "d"), "the keys were fetched a moment ago")
	clock.Add(int64(4 * time.Second))
	assert.Equal(t, ok, ask(t, in, "e"))
}
