package endpoint_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// changedRequest returns a valid request after change.
func changedRequest(change func(r *http.Request)) *http.Request {
	r := postToken()
	change(r)
	return r
}

func requestWithBody(body string) *http.Request {
	return changedRequest(func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body)) })
}

func requestWithType(types ...string) *http.Request {
	return changedRequest(func(r *http.Request) { r.Header["Content-Type"] = types })
}

// accepted stands for the answer to a valid request, which differs between endpoints.
var accepted = answer{}

// requestTests are the rules for requests to both endpoints.
var requestTests = []struct {
	name    string
	request func() *http.Request
	want    answer
	tokens  []string // tokens that the introspector receives
}{
	{"good", postToken, accepted, []string{"opaque"}},
	{"charset", func() *http.Request { return requestWithType("Application/X-WWW-Form-URLEncoded; charset=UTF-8") }, accepted, []string{"opaque"}},
	{"hint", func() *http.Request { return requestWithBody("token=opaque&token_type_hint=refresh_token") }, accepted, []string{"opaque"}},
	{"unknown hint", func() *http.Request { return requestWithBody("token=opaque&token_type_hint=%00") }, accepted, []string{"opaque"}},
	{"unknown parameter", func() *http.Request { return requestWithBody("token=opaque&more=x") }, accepted, []string{"opaque"}},
	{"encoded token", func() *http.Request { return post(url.Values{"token": {`a&b=c+d%2"`}}) }, accepted, []string{`a&b=c+d%2"`}},
	{"longest token", func() *http.Request { return requestWithBody("token=" + strings.Repeat("a", oauthz.MaxTokenBytes)) }, accepted, []string{strings.Repeat("a", oauthz.MaxTokenBytes)}},
	{"query is not read", func() *http.Request {
		return changedRequest(func(r *http.Request) { r.URL.RawQuery = "token=other&token=again" })
	}, accepted, []string{"opaque"}},

	{"GET", func() *http.Request { return changedRequest(func(r *http.Request) { r.Method = http.MethodGet }) }, notPost, nil},
	{"PUT", func() *http.Request { return changedRequest(func(r *http.Request) { r.Method = http.MethodPut }) }, notPost, nil},
	{"OPTIONS", func() *http.Request { return changedRequest(func(r *http.Request) { r.Method = http.MethodOptions }) }, notPost, nil},
	{"lower-case post", func() *http.Request { return changedRequest(func(r *http.Request) { r.Method = "post" }) }, notPost, nil},
	{"no content type", func() *http.Request { return requestWithType() }, notAForm, nil},
	{"two content types", func() *http.Request { return requestWithType("application/x-www-form-urlencoded", "application/json") }, notAForm, nil},
	{"JSON", func() *http.Request { return requestWithType("application/json") }, notAForm, nil},
	{"multipart", func() *http.Request { return requestWithType("multipart/form-data; boundary=x") }, notAForm, nil},
	{"malformed content type", func() *http.Request { return requestWithType("application/x-www-form-urlencoded; =") }, notAForm, nil},
	{"bad percent", func() *http.Request { return requestWithBody("token=opaque&x=%zz") }, malformed, nil},
	{"semicolon", func() *http.Request { return requestWithBody("token=opaque;x=1") }, malformed, nil},
	{"not UTF-8", func() *http.Request { return requestWithBody("token=opaque&x=%ff") }, malformed, nil},
	{"name not UTF-8", func() *http.Request { return requestWithBody("token=opaque&%ff=x") }, malformed, nil},
	{"body breaks off", func() *http.Request {
		return changedRequest(func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(errors.New("canary"))) })
	}, invalidRequest("The body cannot be read"), nil},
	{"body too large", func() *http.Request { return requestWithBody("token=opaque&x=" + strings.Repeat("a", 64<<10)) }, answer{
		413, isJSON, `{"error":"invalid_request","error_description":"The body is too large"}`,
	}, nil},
	{"token twice", func() *http.Request { return requestWithBody("token=opaque&token=opaque") }, repeated, nil},
	{"token twice, once percent-encoded", func() *http.Request { return requestWithBody("token=opaque&%74oken=other") }, repeated, nil},
	{"another parameter twice", func() *http.Request { return requestWithBody("token=opaque&x=1&x=") }, repeated, nil},
	{"no token", func() *http.Request { return requestWithBody("") }, noToken, nil},
	{"empty token", func() *http.Request { return requestWithBody("token=") }, noToken, nil},
	{"token in the query", func() *http.Request {
		return changedRequest(func(r *http.Request) { r.Body, r.URL.RawQuery = http.NoBody, "token=opaque" })
	}, noToken, nil},
	{"parameter name in upper case", func() *http.Request { return requestWithBody("Token=opaque") }, noToken, nil},
}

// The parameters of RFC 7662 §2.1 and RFC 7009 §2.1.
func TestRequestRules(t *testing.T) {
	t.Parallel()
	for _, tt := range requestTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, serveWith := range map[string]func(oauthz.Introspector) http.Handler{
				"introspection": func(in oauthz.Introspector) http.Handler {
					return introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in})
				},
				"revocation": func(in oauthz.Introspector) http.Handler {
					return revocationHandler(t, endpoint.RevocationConfig{Introspector: in, Revoker: &recorder{}})
				},
			} {
				in := &introspectorSpy{next: answers(nil, oauthz.ErrInvalidToken)}
				want := tt.want
				if want == accepted {
					want = map[string]answer{"introspection": inactive, "revocation": revokedAnswer}[name]
				}
				assert.Equal(t, want, serve(t, serveWith(in), tt.request()), name)
				assert.Equal(t, tt.tokens, in.tokens, name)
			}
		})
	}
}

// A string that cannot be a token is answered like an unknown token (RFC 7662 §2.2,
// RFC 7009 §2.2), and the introspector is not called.
func TestInvalidTokenStringsAreUnknownTokens(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{
		"space": "a b", "control": "a\nb", "not ASCII": "tökén", "NUL": "a\x00", "too long": strings.Repeat("a", oauthz.MaxTokenBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, revoker := &introspectorSpy{next: claims(t, `{"iss":"i","jti":"1","client_id":"orders api:1"}`)}, &recorder{}
			form := url.Values{"token": {token}}
			assert.Equal(t, inactive, serve(t, introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in}), post(form)))
			assert.Equal(t, revokedAnswer, serve(t, revocationHandler(t, endpoint.RevocationConfig{Introspector: in, Revoker: revoker}), post(form)))
			assert.Empty(t, in.tokens)
			assert.Empty(t, revoker.revs)
		})
	}
}

// A request over a connection: net/http refuses a body that does not fit its
// Content-Length, and the handler reads any other body as a form.
func TestIntrospectionOverHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(introspectionHandler(t, endpoint.IntrospectionConfig{}))
	t.Cleanup(server.Close)
	r := postToken()
	r.RequestURI = ""
	r.URL, _ = url.Parse(server.URL)
	got, err := server.Client().Do(r)
	if assert.NoError(t, err) {
		body, _ := io.ReadAll(got.Body)
		_ = got.Body.Close()
		assert.Equal(t, `{"active":true,"sub":"alice","token_type":"Bearer"}`, string(body))
	}
}
