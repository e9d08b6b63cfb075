package remote_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
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

// TestSignedAnswers: IJ-01 to IJ-08, IJ-10 and IJ-12, RFC 9701 §5.
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
		{"inactive", with(map[string]any{"active": false}), invalid},
		{"nonsense inside", with(map[string]any{"active": "true"}), fault},
		{"expired inside", with(map[string]any{"active": true, "aud": audience, "exp": noon.Add(-time.Hour).Unix()}), expired},
		{"other audience inside", with(map[string]any{"active": true, "aud": "https://other.example"}), invalid},
		{"IJ-01 typ", claims(nil, oauthztest.WithHeader("typ", "JWT")), invalid},
		{"IJ-01 no typ", claims(nil, oauthztest.WithHeader("typ", absent)), invalid},
		{"IJ-02 for another", claims(oauthztest.Claims{"aud": "other"}), invalid},
		{"IJ-02 for nobody", claims(oauthztest.Claims{"aud": absent}), invalid},
		{"IJ-03 other issuer", claims(oauthztest.Claims{"iss": "https://other.example"}), invalid},
		{"IJ-04 no token_introspection", claims(oauthztest.Claims{"token_introspection": absent}), invalid},
		{"IJ-04 not an object", with("active"), invalid},
		{"IJ-05 active at the top", claims(oauthztest.Claims{"token_introspection": absent, "active": true}), invalid},
		{"IJ-06 HS256", claims(nil, oauthztest.WithHeader("alg", "HS256")), invalid},
		{"IJ-06 none", claims(nil, oauthztest.WithHeader("alg", "none")), invalid},
		{"IJ-06 other key", func(as *oauthztest.Server) (string, string) {
			return signedMedia, mintAnswer(stranger, oauthztest.Claims{"iss": as.Issuer()})
		}, invalid},
		{"IJ-08 JWT as JSON", func(as *oauthztest.Server) (string, string) { return "application/json", mintAnswer(as, nil) }, fault},
		{"IJ-08 JSON as JWT", func(*oauthztest.Server) (string, string) { return signedMedia, good }, invalid},
		{"IJ-10 downgrade", func(*oauthztest.Server) (string, string) { return "application/json", good }, fault},
		{"IJ-11 encrypted", func(*oauthztest.Server) (string, string) { return signedMedia, "eyJhbGciOiJkaXIifQ.a.b.c.d" }, invalid},
		{"IJ-12 old", claims(oauthztest.Claims{"iat": noon.Add(-7 * time.Minute)}), invalid},
		{"IJ-12 of the future", claims(oauthztest.Claims{"iat": noon.Add(2 * time.Minute)}), invalid},
		{"IJ-12 undated", claims(oauthztest.Claims{"iat": absent}), invalid},
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
