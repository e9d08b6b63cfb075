package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// credentialed returns requests with these Authorization fields, and with form after the token.
func credentialed(form string, authorization ...string) func() *http.Request {
	return func() *http.Request {
		r := postRaw("token=opaque" + form)
		if authorization != nil {
			r.Header["Authorization"] = authorization
		}
		return r
	}
}

var (
	goodBasic = basicHeader(url.QueryEscape(client), url.QueryEscape(secret))
	goodPost  = "&client_id=" + url.QueryEscape(client) + "&client_secret=" + url.QueryEscape(secret)
	assertion = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c"
)

var clientSecretTests = []struct {
	name    string
	request func() *http.Request
	want    answer
}{
	{"basic", credentialed("", goodBasic), accepted},
	{"basic, scheme in lower case", credentialed("", "basic"+goodBasic[5:]), accepted},
	{"basic, percent-encoded space", credentialed("", basicHeader(strings.ReplaceAll(url.QueryEscape(client), "+", "%20"), url.QueryEscape(secret))), accepted},
	{"basic, and the same client_id", credentialed("&client_id="+url.QueryEscape(client), goodBasic), accepted},
	{"basic, and empty parameters", credentialed("&client_secret=&client_id=", goodBasic), accepted},
	{"post", credentialed(goodPost), accepted},

	{"no credentials", credentialed(""), invalidClient},
	{"neither credentials nor a token", func() *http.Request { return postRaw("") }, invalidClient},
	{"only a client id", credentialed("&client_id=" + url.QueryEscape(client)), invalidClient},
	{"basic, wrong secret", credentialed("", basicHeader(url.QueryEscape(client), "wrong")), invalidClient},
	{"basic, unknown client", credentialed("", basicHeader("nobody", url.QueryEscape(secret))), invalidClient},
	{"basic, no secret", credentialed("", basicHeader(url.QueryEscape(client), "")), invalidClient},
	{"basic, no id", credentialed("", basicHeader("", url.QueryEscape(secret))), invalidClient},
	{"basic, no colon", credentialed("", "Basic YWJj"), invalidClient},
	{"basic, not base64", credentialed("", "Basic !"), invalidClient},
	{"empty field", credentialed("", ""), invalidClient},
	{"another scheme", credentialed("", "Bearer abc"), invalidClient},
	{"post, wrong secret", credentialed("&client_id=" + url.QueryEscape(client) + "&client_secret=wrong"), invalidClient},
	{"post, empty secret", credentialed("&client_id=" + url.QueryEscape(client) + "&client_secret="), invalidClient},
	{"post, no id", credentialed("&client_secret=" + url.QueryEscape(secret)), invalidClient},
	{"in the query", func() *http.Request {
		r := postRaw("token=opaque")
		r.URL.RawQuery = goodPost[1:]
		return r
	}, invalidClient},
	{"assertion", credentialed(assertion), invalidClient},

	{"basic, not encoded", credentialed("", basicHeader("orders api", secret)), badCredentials},
	{"basic, id not encoded", credentialed("", basicHeader("100%", url.QueryEscape(secret))), badCredentials},
	{"basic, not UTF-8", credentialed("", basicHeader("%ff", "x")), badCredentials},
	{"basic and post", credentialed(goodPost, goodBasic), badCredentials},
	{"basic and a secret", credentialed("&client_secret=wrong", goodBasic), badCredentials},
	{"two fields", credentialed("", goodBasic, goodBasic), badCredentials},
	{"basic and an empty field", credentialed("", goodBasic, ""), badCredentials},
	{"basic and an assertion", credentialed(assertion, goodBasic), badCredentials},
	{"post and an assertion", credentialed(goodPost + assertion), badCredentials},
	{"post and another scheme", credentialed(goodPost, "Bearer abc"), badCredentials},
	{"another client in the form", credentialed("&client_id=other", goodBasic), otherClient},
}

// Credentials in each way of RFC 6749 §2.3.1, and errors of RFC 6749 §5.2.
func TestClientSecretAcceptsBasicAndPost(t *testing.T) {
	t.Parallel()
	for _, tt := range clientSecretTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}
			want := tt.want
			if want == accepted {
				want = inactive
			}
			assert.Equal(t, want, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in}), tt.request()))
			assert.Equal(t, tt.want == accepted, len(in.tokens) == 1, "the introspector is called only for authenticated clients")
		})
	}
}

// A check may accept an empty id or secret, because it is never called with one.
func TestClientSecretCheckNeverGetsEmptyValues(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]func() *http.Request{
		"basic, no secret": credentialed("", basicHeader("c", "")),
		"basic, no id":     credentialed("", basicHeader("", "s")),
		"basic, neither":   credentialed("", basicHeader("", "")),
		"post, no secret":  credentialed("&client_id=c&client_secret="),
		"post, no id":      credentialed("&client_id=&client_secret=s"),
	} {
		auth := endpoint.ClientSecret(func(context.Context, string, oauthz.Secret) error {
			t.Error("the check is called")
			return nil
		})
		assert.Equal(t, invalidClient, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Auth: auth}), request()), name)
	}
}

// The error of an authenticator decides the answer.
func TestClientAuthenticatorErrorsDecideTheAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		id   string
		err  error
		want answer
	}{
		{"good", "c", nil, inactive},
		{"invalid client", "", endpoint.ErrInvalidClient, invalidClient},
		{"invalid client, wrapped", "c", fmt.Errorf("canary: %w", endpoint.ErrInvalidClient), invalidClient},
		{"malformed", "", fmt.Errorf("canary: %w", oauthz.ErrInvalidRequest), badCredentials},
		{"fault", "", errors.New("canary"), unavailable},
		{"fault with an id", "c", errors.New("canary"), unavailable},
		{"fault with a retry time", "", retryableError(503, 9e9), retryIn("9")},
		{"a refusal of a token is a fault", "", oauthz.ErrInvalidToken, unavailable},
		{"neither id nor error", "", nil, serverError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			auth := endpoint.ClientAuthenticatorFunc(func(context.Context, *http.Request, url.Values) (string, error) { return tt.id, tt.err })
			in := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}
			assert.Equal(t, tt.want, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in, Auth: auth}), postToken()))
			assert.Equal(t, tt.want == inactive, len(in.tokens) == 1)

			check := endpoint.ClientSecret(func(context.Context, string, oauthz.Secret) error { return tt.err })
			if tt.err != nil {
				assert.Equal(t, tt.want, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in, Auth: check}), postToken()))
			}
		})
	}
}

// An authenticator receives the whole request and its form: private_key_jwt and mutual TLS need them.
func TestClientAuthenticatorReceivesTheRequest(t *testing.T) {
	t.Parallel()
	auth := endpoint.ClientAuthenticatorFunc(func(ctx context.Context, r *http.Request, form url.Values) (string, error) {
		assert.Equal(t, r.Context(), ctx)
		assert.Equal(t, "v", r.Header.Get("X"))
		assert.Equal(t, url.Values{"token": {"opaque"}, "client_assertion": {"a.b.c"}}, form)
		form.Set("token", "other") // too late to have an effect
		return "c", nil
	})
	in := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}
	r := postRaw("token=opaque&client_assertion=a.b.c&empty=")
	r.Header.Set("X", "v")
	assert.Equal(t, inactive, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in, Auth: auth}), r))
	assert.Equal(t, []string{"opaque"}, in.tokens)
}

// callersGuard returns a Guard that accepts tokens of callers.
func callersGuard(t *testing.T) *oauthz.Guard {
	t.Helper()
	callers := oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		switch token {
		case "good":
			return parseToken(t, `{"client_id":"api","scope":"introspect"}`), nil
		case "nameless":
			return parseToken(t, `{"scope":"introspect"}`), nil
		case "weak":
			return parseToken(t, `{"client_id":"api"}`), nil
		case "down":
			return nil, errors.New("canary")
		}
		return nil, oauthz.ErrInvalidToken
	})
	guard, err := oauthz.New(oauthz.Config{Introspector: callers, Realm: "callers", Now: atNoon})
	require.NoError(t, err)
	return guard
}

// RFC 7662 §2.1: a client with an access token of its own, which its Guard checks.
func TestAccessTokenAuthenticatesClients(t *testing.T) {
	t.Parallel()
	guard := callersGuard(t)
	for _, tt := range []struct {
		name    string
		request func() *http.Request
		want    answer
	}{
		{"good", credentialed("", "Bearer good"), inactive},
		{"good, and the same client_id", credentialed("&client_id=api", "Bearer good"), inactive},
		{"good, and another client_id", credentialed("&client_id=other", "Bearer good"), otherClient},
		{"no credentials", credentialed(""), answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"callers\", scope=\"introspect\"", `{}`}},
		{"the token to introspect", credentialed("", "Bearer opaque"), refusedBy("callers", 401, "invalid_token", "The access token is not valid", "")},
		{"without the scope", credentialed("", "Bearer weak"), refusedBy("callers", 403, "insufficient_scope", "The access token lacks a scope that is required", `, scope="introspect"`)},
		{"without a client_id", credentialed("", "Bearer nameless"), refusedBy("callers", 403, "insufficient_scope", "The access token does not allow this", "")},
		{"fault", credentialed("", "Bearer down"), unavailable},
		{"and a secret", credentialed(goodPost, "Bearer good"), badCredentials},
		{"and an assertion", credentialed(assertion, "Bearer good"), badCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in, reported := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}, &reports{}
			h := introspectionHandler(t, endpoint.IntrospectionConfig{
				Introspector: in, Auth: endpoint.AccessToken(guard, oauthz.Require("introspect")), Report: reported.add,
			})
			assert.Equal(t, tt.want, serve(t, h, tt.request()))
			assert.Equal(t, tt.want == inactive, len(in.tokens) == 1)
			assert.Equal(t, tt.want != inactive, len(reported.errs) == 1, "reported once")
			for _, err := range reported.errs {
				assert.NotContains(t, err.Error(), "endpoint: status 503", "a refusal of the Guard is not a fault of the endpoint")
			}
		})
	}
}

// An authenticator can use the certificate of mutual TLS (RFC 8705 §2).
func TestClientAuthenticatorByCertificate(t *testing.T) {
	t.Parallel()
	auth := endpoint.ClientAuthenticatorFunc(func(_ context.Context, r *http.Request, form url.Values) (string, error) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			return "", endpoint.ErrInvalidClient
		}
		return form.Get("client_id"), nil
	})
	server := httptest.NewTLSServer(introspectionHandler(t, endpoint.IntrospectionConfig{Auth: auth}))
	t.Cleanup(server.Close)
	got, err := server.Client().PostForm(server.URL, url.Values{"token": {"opaque"}, "client_id": {"c"}})
	require.NoError(t, err)
	_ = got.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, got.StatusCode)
}
