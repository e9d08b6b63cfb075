package remote_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
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
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// sent is what the endpoint is asked with auth.
func sent(t *testing.T, auth remote.ClientAuth) (http.Header, url.Values) {
	t.Helper()
	e := newEndpoint(t, active(``))
	in := e.introspector(t, func(c *remote.Config) { c.Auth = auth })
	require.Equal(t, ok, ask(t, in, "opaque"))
	last := e.asked()[len(e.asked())-1]
	form, err := url.ParseQuery(last.body)
	require.NoError(t, err)
	return last.header, form
}

// RFC 6749 §2.3.1: encoded first, unless the server wants it raw.
func TestBasic(t *testing.T) {
	t.Parallel()
	header, form := sent(t, remote.Basic("my api", "p@ss:w%rd+/="))
	r := http.Request{Header: header}
	id, secret, _ := r.BasicAuth()
	assert.Equal(t, "my+api", id)
	assert.Equal(t, "p%40ss%3Aw%25rd%2B%2F%3D", secret)
	assert.NotContains(t, form, "client_id")

	header, _ = sent(t, remote.BasicRaw("my api", "p@ss:w%rd+/="))
	r = http.Request{Header: header}
	id, secret, _ = r.BasicAuth()
	assert.Equal(t, "my api", id)
	assert.Equal(t, "p@ss:w%rd+/=", secret)
}

func TestNone(t *testing.T) {
	t.Parallel()
	header, form := sent(t, remote.None("api"))
	assert.Empty(t, header.Get("Authorization"))
	assert.Equal(t, url.Values{"token": {"opaque"}, "token_type_hint": {"access_token"}, "client_id": {"api"}}, form)
	_, form = sent(t, remote.None(""))
	assert.NotContains(t, form, "client_id")
}

func TestBearer(t *testing.T) {
	t.Parallel()
	n := 0
	source := func(context.Context) (oauthz.Secret, error) {
		if n++; n > 2 {
			return "", errors.New("c4n4ry")
		}
		return oauthz.Secret(fmt.Sprint("own-", n)), nil
	}
	e := newEndpoint(t, active(``))
	in := e.introspector(t, func(c *remote.Config) { c.Auth = remote.Bearer(source) })
	for i := range 2 {
		require.Equal(t, ok, ask(t, in, "opaque"))
		assert.Equal(t, fmt.Sprint("Bearer own-", i+1), e.asked()[i].header.Get("Authorization"))
	}
	_, err := in.Introspect(t.Context(), "opaque")
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.NotContains(t, err.Error(), "c4n4ry")
	assert.Len(t, e.asked(), 2)
}

// RFC 7523 §2.2, §3: an assertion of its own for each request.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	auth := remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Key: key, Algorithm: "ES256", KeyID: "k1", Audience: "https://issuer.example"})
	seen := map[any]bool{}
	for range 3 {
		header, form := sent(t, auth)
		assert.Empty(t, header.Get("Authorization"))
		assert.Equal(t, "api", form.Get("client_id"))
		assert.Equal(t, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", form.Get("client_assertion_type"))
		assertion, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
		require.NoError(t, err)
		claims := assertion.Claims.(jwt.MapClaims)
		assert.Equal(t, map[string]any{"alg": "ES256", "kid": "k1"}, assertion.Header)
		assert.Equal(t, "api", claims["iss"])
		assert.Equal(t, "api", claims["sub"])
		assert.Equal(t, "https://issuer.example", claims["aud"])
		assert.InDelta(t, 60, claims["exp"].(float64)-claims["iat"].(float64), 0)
		assert.False(t, seen[claims["jti"]], "used once")
		seen[claims["jti"]] = true
	}
}

func TestClientSecretJWT(t *testing.T) {
	t.Parallel()
	_, form := sent(t, remote.ClientSecretJWT("api", "a secret of 32 bytes, or longer..", ""))
	assertion, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return []byte("a secret of 32 bytes, or longer.."), nil })
	require.NoError(t, err)
	audience, err := assertion.Claims.GetAudience()
	require.NoError(t, err)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/introspect$`, audience[0])
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, err = remote.New(t.Context(), remote.Config{})
	require.EqualError(t, err, "remote: config: Endpoint or Issuer is required\n"+
		"remote: config: Auth is required: None says that there is none\n"+
		"remote: config: Audience is required: without it, a token for any other API is accepted")
	tests := []struct {
		name   string
		change func(*remote.Config)
		want   string
	}{
		{"endpoint over http", func(c *remote.Config) { c.Endpoint = "http://issuer.example" }, "remote: config: Endpoint: fetch: want an https URL (http only for loopback)"},
		{"secret in URL", func(c *remote.Config) { c.Endpoint = "https://u:c4n4ry@issuer.example" }, "remote: config: Endpoint: fetch: URL holds credentials"},
		{"issuer over http", func(c *remote.Config) { c.Endpoint, c.Issuer = "", "http://issuer.example" }, "remote: config: Issuer: cannot discover the endpoint, and there is none: fetch: want an https URL (http only for loopback)"},
		{"basic without a secret", func(c *remote.Config) { c.Auth = remote.Basic("api", "") }, "remote: config: Auth: client id or secret is empty"},
		{"post without an id", func(c *remote.Config) { c.Auth = remote.Post("", "c4n4ry") }, "remote: config: Auth: client id or secret is empty"},
		{"bearer without a source", func(c *remote.Config) { c.Auth = remote.Bearer(nil) }, "remote: config: Auth: bearer source is nil"},
		{"secret jwt without a secret", func(c *remote.Config) { c.Auth = remote.ClientSecretJWT("api", "", "") }, "remote: config: Auth: secret is empty"},
		{"private key jwt without a key", func(c *remote.Config) {
			c.Auth = remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Algorithm: "ES256"})
		}, `remote: config: Auth: cannot sign with "ES256", or no key`},
		{"private key jwt of another kind", func(c *remote.Config) {
			c.Auth = remote.PrivateKeyJWT(remote.PrivateKey{ClientID: "api", Algorithm: "RS256", Key: key})
		}, "remote: config: Auth: the key does not sign with RS256"},
		{"both audiences", func(c *remote.Config) { c.InsecureAnyAudience = true }, "remote: config: Audience and InsecureAnyAudience exclude each other"},
		{"empty audience", func(c *remote.Config) { c.Audience = []string{""} }, "remote: config: Audience holds an empty string"},
		{"leeway", func(c *remote.Config) { c.Leeway = time.Hour }, "remote: config: Leeway: 1h0m0s is more than 5m0s"},
		{"negative", func(c *remote.Config) { c.Timeout = -1 }, "remote: config: Timeout, MaxConcurrent or MaxAnswerBytes is negative"},
		{"signed for nobody", func(c *remote.Config) { c.Signed = &remote.Signed{} }, "remote: config: Signed: Audience is required\nremote: config: Signed: Issuer is required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := remote.Config{Endpoint: "https://issuer.example/introspect", Auth: remote.None(""), Audience: []string{audience}}
			tt.change(&cfg)
			in, err := remote.New(t.Context(), cfg)
			assert.EqualError(t, err, tt.want)
			assert.Nil(t, in)
		})
	}
}

// TestDiscoveredEndpoint against the fake authorization server: client
// authentication, revocation, and a server that is down at the start.
func TestDiscoveredEndpoint(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{ClientID: "api", ClientSecret: "s e:c+ret"})
	t.Cleanup(as.Close)
	config := remote.Config{Issuer: as.Issuer(), Auth: remote.Basic("api", "s e:c+ret"), Audience: []string{audience}}
	in, err := remote.New(t.Context(), config)
	require.NoError(t, err)
	token := as.MintOpaque(oauthztest.Claims{"scope": "read", "sub": "alice"})
	got, err := in.Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, "alice", got.Subject)
	assert.Equal(t, as.Issuer(), got.Issuer)
	assert.Equal(t, oauthz.Scopes{"read"}, got.Scopes)
	as.Revoke(token)
	_, err = in.Introspect(t.Context(), token)
	require.ErrorIs(t, err, oauthz.ErrInactive)

	config.Auth = remote.Basic("api", "wrong")
	in, err = remote.New(t.Context(), config)
	require.NoError(t, err)
	_, err = in.Introspect(t.Context(), token)
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
}

// An issuer that is down at the start is found in the background.
func TestEndpointIsDiscoveredLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		in, err := remote.New(t.Context(), remote.Config{
			Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience},
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				switch {
				case !up.Load():
					return reply(500, ""), nil
				case r.Method == http.MethodGet:
					return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"https://issuer.example/i"}`), nil
				default:
					return reply(200, good), nil
				}
			})},
		})
		require.NoError(t, err)
		for range 5 {
			_, err = in.Introspect(t.Context(), "opaque")
			require.ErrorIs(t, err, oauthz.ErrUnavailable)
			<-time.After(3 * time.Second)
		}
		up.Store(true)
		<-time.After(6 * time.Second)
		_, err = in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}

// RS-06, IN-28: nothing of a token, a secret or an answer in an error.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const canary, secret = "c4n4ry", "s3cr3t"
	answers := map[string]http.HandlerFunc{
		"echo":        says(200, canary+secret, "Content-Type", canary+"/"+secret),
		"nonsense":    says(200, `{"active":"`+canary+secret+`"}`),
		"bad claims":  active(`,"exp":"` + canary + secret + `"`),
		"other names": active(`,"sub":"` + canary + `","sub":"` + secret + `"`),
		"inactive":    says(200, `{"active":false,"sub":"`+canary+secret+`"}`),
		"error":       says(401, `{"error":"`+canary+secret+`"}`, "WWW-Authenticate", canary+secret),
		"unsupported": says(400, `{"error":"unsupported_token_type","error_description":"`+canary+secret+`"}`),
		"redirect":    says(302, ``, "Location", "http://"+secret+"/"+canary),
		"limited":     says(429, canary, "Retry-After", canary),
		"refresh":     active(`,"token_type":"refresh ` + canary + `"`),
		"audience":    says(200, `{"active":true,"aud":"`+canary+`","iss":"`+secret+`"}`),
	}
	for name, answer := range answers {
		e := newEndpoint(t, answer)
		in := e.introspector(t, func(c *remote.Config) { c.Auth, c.Issuer = remote.Basic("api", secret), "https://issuer.example" })
		_, err := in.Introspect(t.Context(), canary)
		require.Error(t, err, name)
		text := fmt.Sprintf("%v %+v %+v %+v %#v %+v", err, err, remote.Basic("api", secret), remote.Config{Auth: remote.Post("api", secret)}, in, in)
		assert.NotContains(t, text, canary, name)
		assert.NotContains(t, text, secret, name)
	}
}

// FuzzAnswer: whatever the body, the answer is a token for this API, a refusal
// or a fault.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{good, `{"active":false}`, `{"active":true,"exp":1e400}`, `{"active":true,"aud":["https://api.example"],"cnf":{}}`} {
		f.Add([]byte(seed))
	}
	dialect := remote.RFC7662()
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := dialect.Answer(&http.Response{StatusCode: 200, Header: http.Header{}}, body)
		if err != nil {
			require.Nil(t, got)
			refused := errors.Is(err, oauthz.ErrInvalidToken)
			require.NotEqual(t, refused, errors.Is(err, oauthz.ErrUnavailable), "one of both: %v", err)
			return
		}
		active, found := got.Claim("active")
		require.True(t, found)
		require.Equal(t, "true", string(active))
	})
}
