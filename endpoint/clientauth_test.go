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

// credentialed is a request with Authorization fields, and a form beside the token.
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

// RFC 6749 §2.3.1 and §5.2.
func TestClientSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		request func() *http.Request
		want    answer
	}{
		{"basic", credentialed("", goodBasic), accepted},
		{"basic, scheme in lower case", credentialed("", "basic"+goodBasic[5:]), accepted},
		{"basic, percent-encoded space", credentialed("", basicHeader(strings.ReplaceAll(url.QueryEscape(client), "+", "%20"), url.QueryEscape(secret))), accepted},
		{"basic, and who it is again", credentialed("&client_id="+url.QueryEscape(client), goodBasic), accepted},
		{"basic, and parameters without a value", credentialed("&client_secret=&client_id=", goodBasic), accepted},
		{"post", credentialed(goodPost), accepted},

		{"none", credentialed(""), invalidClient},
		{"none, and no token either", func() *http.Request { return postRaw("") }, invalidClient},
		{"client id alone", credentialed("&client_id=" + url.QueryEscape(client)), invalidClient},
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

		{"basic as it stands", credentialed("", basicHeader("orders api", secret)), badCredentials},
		{"basic, an id as it stands", credentialed("", basicHeader("100%", url.QueryEscape(secret))), badCredentials},
		{"basic, not UTF-8", credentialed("", basicHeader("%ff", "x")), badCredentials},
		{"basic and post", credentialed(goodPost, goodBasic), badCredentials},
		{"basic and a secret", credentialed("&client_secret=wrong", goodBasic), badCredentials},
		{"two fields", credentialed("", goodBasic, goodBasic), badCredentials},
		{"basic and an empty field", credentialed("", goodBasic, ""), badCredentials},
		{"basic and an assertion", credentialed(assertion, goodBasic), badCredentials},
		{"post and an assertion", credentialed(goodPost + assertion), badCredentials},
		{"post and another scheme", credentialed(goodPost, "Bearer abc"), badCredentials},
		{"another client in the form", credentialed("&client_id=other", goodBasic), otherClient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}
			want := tt.want
			if want == accepted {
				want = inactive
			}
			assert.Equal(t, want, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in}), tt.request()))
			assert.Equal(t, tt.want == accepted, len(in.tokens) == 1, "the introspector is asked for clients only")
		})
	}
}

// A check need not know that an empty secret, or the secret of nobody, is none.
func TestClientSecretIsNeverEmpty(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]func() *http.Request{
		"basic, no secret": credentialed("", basicHeader("c", "")),
		"basic, no id":     credentialed("", basicHeader("", "s")),
		"basic, neither":   credentialed("", basicHeader("", "")),
		"post, no secret":  credentialed("&client_id=c&client_secret="),
		"post, no id":      credentialed("&client_id=&client_secret=s"),
	} {
		auth := endpoint.ClientSecret(func(context.Context, string, oauthz.Secret) error {
			t.Error("the check is asked")
			return nil
		})
		assert.Equal(t, invalidClient, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Auth: auth}), request()), name)
	}
}

// Whoever implements ClientAuth says what its errors mean.
func TestClientAuthErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		id   string
		err  error
		want answer
	}{
		{"good", "c", nil, inactive},
		{"not who it says", "", endpoint.ErrInvalidClient, invalidClient},
		{"not who it says, wrapped", "c", fmt.Errorf("canary: %w", endpoint.ErrInvalidClient), invalidClient},
		{"malformed", "", fmt.Errorf("canary: %w", oauthz.ErrInvalidRequest), badCredentials},
		{"fault", "", errors.New("canary"), unavailable},
		{"fault, whatever the id", "c", errors.New("canary"), unavailable},
		{"fault that names a time", "", retryableError(503, 9e9), retryIn("9")},
		{"a refusal of a token is none of a client", "", oauthz.ErrInvalidToken, unavailable},
		{"neither", "", nil, serverError},
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

// A ClientAuth sees the whole request and its form, as private_key_jwt and mutual TLS need it.
func TestClientAuthSees(t *testing.T) {
	t.Parallel()
	auth := endpoint.ClientAuthenticatorFunc(func(ctx context.Context, r *http.Request, form url.Values) (string, error) {
		assert.Equal(t, r.Context(), ctx)
		assert.Equal(t, "v", r.Header.Get("X"))
		assert.Equal(t, url.Values{"token": {"opaque"}, "client_assertion": {"a.b.c"}}, form)
		form.Set("token", "other") // which is too late
		return "c", nil
	})
	in := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}
	r := postRaw("token=opaque&client_assertion=a.b.c&empty=")
	r.Header.Set("X", "v")
	assert.Equal(t, inactive, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in, Auth: auth}), r))
	assert.Equal(t, []string{"opaque"}, in.tokens)
}

// RFC 7662 §2.1: a caller with an access token of its own, which its Guard judges.
func TestBearer(t *testing.T) {
	t.Parallel()
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
	refused := func(status int, code, description, params string) answer {
		return answer{
			status, fmt.Sprintf("%s\nWww-Authenticate: Bearer realm=\"callers\", error=\"%s\", error_description=\"%s\"%s", isJSON, code, description, params),
			fmt.Sprintf(`{"error":"%s","error_description":"%s"}`, code, description),
		}
	}
	forbidden := refused(403, "insufficient_scope", "The access token does not allow this", "")
	for _, tt := range []struct {
		name    string
		request func() *http.Request
		want    answer
	}{
		{"good", credentialed("", "Bearer good"), inactive},
		{"good, and who it is", credentialed("&client_id=api", "Bearer good"), inactive},
		{"good, but another client", credentialed("&client_id=other", "Bearer good"), otherClient},
		{"none", credentialed(""), answer{401, isJSON + "\nWww-Authenticate: Bearer realm=\"callers\", scope=\"introspect\"", `{}`}},
		{"the token that is asked about", credentialed("", "Bearer opaque"), refused(401, "invalid_token", "The access token is not valid", "")},
		{"without the scope", credentialed("", "Bearer weak"), refused(403, "insufficient_scope", "The access token lacks a scope that is required", `, scope="introspect"`)},
		{"of no client", credentialed("", "Bearer nameless"), forbidden},
		{"cannot tell", credentialed("", "Bearer down"), unavailable},
		{"and a secret", credentialed(goodPost, "Bearer good"), badCredentials},
		{"and an assertion", credentialed(assertion, "Bearer good"), badCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in, heard := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}, &reports{}
			h := introspectionHandler(t, endpoint.IntrospectionConfig{
				Introspector: in, Auth: endpoint.AccessToken(guard, oauthz.Require("introspect")), Report: heard.add,
			})
			assert.Equal(t, tt.want, serve(t, h, tt.request()))
			assert.Equal(t, tt.want == inactive, len(in.tokens) == 1)
			assert.Equal(t, tt.want != inactive, len(heard.errs) == 1, "reported once")
			for _, err := range heard.errs {
				assert.NotContains(t, err.Error(), "endpoint: status 503", "what the Guard refuses is no fault of ours")
			}
		})
	}
}

// The certificate of mutual TLS is what a ClientAuth makes of it (RFC 8705 §2).
func TestClientAuthByCertificate(t *testing.T) {
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
