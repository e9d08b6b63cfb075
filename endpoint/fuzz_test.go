package endpoint_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// FuzzRequest checks that every input gets one of the known answers, and that the
// authenticator and the introspector receive the parameters of the body and never
// those of the query. The test reads the body with a parser of its own.
func FuzzRequest(f *testing.F) {
	f.Add("token=opaque", "application/x-www-form-urlencoded", "token=q", "Basic YTpi")
	f.Add("token=a%2Bb+c&token_type_hint=x&client_id=a&client_secret=b", "application/x-www-form-urlencoded;charset=utf-8", "", "")
	f.Add("token=a&token=b", "application/x-www-form-urlencoded", "", "Basic YTpi")
	f.Add("token=\xff", "application/x-www-form-urlencoded", "", "Basic YSUzQTpi")
	f.Add("token=;&=&&", "application/x-www-form-urlencoded", "token", "Bearer x")
	f.Add(`{"token":"a"}`, "application/json", "", "Basic YTpi")
	f.Fuzz(func(t *testing.T, body, contentType, query, authorization string) {
		got := &received{}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header["Content-Type"] = []string{contentType}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		w := httptest.NewRecorder()
		got.handler(t).ServeHTTP(w, r)
		require.Contains(t, []int{200, 400, 401, 413}, w.Code)
		answer, err := io.ReadAll(w.Result().Body)
		require.NoError(t, err)
		require.Equal(t, w.Code == 200, string(answer) == `{"active":false}`)

		form, wellFormed := parseForm(body)
		if got.id != "" || got.token != "" {
			require.True(t, wellFormed, "%q", body)
			require.NotEmpty(t, got.secret)
		}
		if got.id != "" && authorization == "" {
			require.Equal(t, form["client_id"], got.id)
			require.Equal(t, form["client_secret"], string(got.secret))
		}
		if got.token != "" {
			require.NotEmpty(t, got.id, "called for an unauthenticated client")
			require.Equal(t, form["token"], got.token)
			require.LessOrEqual(t, len(got.token), oauthz.MaxTokenBytes)
			require.Empty(t, strings.Trim(got.token, visible))
		}
	})
}

// received holds the values that the hooks of an endpoint received.
type received struct {
	id, token string
	secret    oauthz.Secret
}

func (got *received) handler(t *testing.T) http.Handler {
	t.Helper()
	return introspectionHandler(t, endpoint.IntrospectionConfig{
		Auth: endpoint.ClientSecret(func(_ context.Context, id string, secret oauthz.Secret) error {
			got.id, got.secret = id, secret
			return nil
		}),
		Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
			got.token = token
			return nil, oauthz.ErrInvalidToken
		}),
	})
}

const visible = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// parseForm parses a form as RFC 6749 appendix B defines it, in the simplest way. It
// returns false if the form is malformed or repeats a name.
func parseForm(body string) (map[string]string, bool) {
	out := map[string]string{}
	for _, pair := range strings.Split(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		for _, half := range []*string{&name, &value} {
			decoded, err := url.PathUnescape(strings.ReplaceAll(*half, "+", "%20"))
			if err != nil || strings.Contains(*half, ";") || !utf8.ValidString(decoded) {
				return nil, false
			}
			*half = decoded
		}
		if _, twice := out[name]; twice {
			return nil, false
		}
		out[name] = value
	}
	return out, true
}

// FuzzAccept checks that an answer is signed only if Accept names the media type.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", signedType, signedType + ";q=0", "application/json;q=0.5," + signedType + ";q=0.7", `a/b;c="d,e", ` + signedType} {
		f.Add(seed)
	}
	h := introspectionHandler(f, signedConfig(edKey(f)))
	f.Fuzz(func(t *testing.T, accept string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, signedRequest("active", accept))
		require.Equal(t, 200, w.Code)
		if w.Header().Get("Content-Type") == signedType {
			require.Contains(t, strings.ToLower(accept), signedType)
		} else {
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.NotEqual(t, signedType, accept)
		}
	})
}

// FuzzAdminPost checks that either all revocations of the array are recorded, in
// order, and survive a second encoding and decoding, or none is recorded.
func FuzzAdminPost(f *testing.F) {
	for _, seed := range []string{`[]`, `[{"match":{"iss":"i","n":1e2}}]`, `[{"match":{"iss":"i"}},{}]`, `[{"match":{"iss":"i"},"at":"2026-11-21T12:00:00+01:00"}],"x":[]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		revoker := &recorder{}
		h := adminHandler(t, revoker, &lister{})
		send := func(body string) int {
			w := httptest.NewRecorder()
			r := adminRequest(http.MethodPost, "", body+" ")
			h.ServeHTTP(w, r)
			_, _ = io.Copy(io.Discard, w.Result().Body)
			return w.Code
		}
		status := send(body)
		require.Equal(t, status == 204, len(revoker.revs) > 0, "%d", status)
		if status != 204 {
			require.Contains(t, []int{400, 413}, status)
			return
		}
		var sent []any
		require.NoError(t, json.Unmarshal([]byte(body), &sent))
		require.Len(t, revoker.revs, len(sent))
		first := revoker.revs
		again, err := json.Marshal(first)
		require.NoError(t, err)
		revoker.revs = nil
		require.Equal(t, 204, send(string(again)))
		written, err := json.Marshal(revoker.revs)
		require.NoError(t, err)
		require.Equal(t, string(again), string(written))
	})
}

// The handlers are safe for concurrent use, and every request gets its own answer.
func TestHandlersAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	revoked := &oauthz.MemoryRevocations{Now: atNoon}
	in := oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		return oauthz.ParseToken([]byte(`{"iss":"i","jti":"` + token + `","client_id":"` + client + `"}`))
	})
	introspect := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: in, RevocationLists: []oauthz.RevocationList{revoked}})
	revoke := revocationHandler(t, endpoint.RevocationConfig{Introspector: in, Revoker: revoked})
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			id := string(rune('a'+i%26)) + strings.Repeat("x", i)
			form := url.Values{"token": {id}}
			assert.Equal(t, activeAnswer(`{"active":true,"client_id":"`+client+`","iss":"i","jti":"`+id+`","token_type":"Bearer"}`), serve(t, introspect, post(form)))
			assert.Equal(t, revokedAnswer, serve(t, revoke, post(form)))
			assert.Equal(t, inactive, serve(t, introspect, post(form)))
		})
	}
	all.Wait()
}
