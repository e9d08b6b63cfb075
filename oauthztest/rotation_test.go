package oauthztest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/oauthztest"
)

func TestRotate(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	kid := s.Rotate()
	assert.Equal(t, "key-2", kid)
	assert.Equal(t, []string{"key-1", "key-2"}, s.Keys(), "the first key was there already")

	token, old := s.Mint(nil), s.Mint(nil, oauthztest.WithKey("key-1"))
	assert.Equal(t, "key-2", part(t, token, 0)["kid"])
	assert.Equal(t, "ES256", part(t, token, 0)["alg"])
	require.NoError(t, verify(t, s, token))
	require.NoError(t, verify(t, s, old), "older keys are still published")
	assert.NotEqual(t, published(t, s)["key-1"]["x"], published(t, s)["key-2"]["x"])
}

func TestRotateUnpublished(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	kid := s.RotateUnpublished()
	token := s.Mint(nil)
	assert.Equal(t, kid, part(t, token, 0)["kid"])
	assert.NotContains(t, published(t, s), kid)
	require.Error(t, verify(t, s, token))

	s.Publish(kid)
	s.Publish(kid)
	assert.Equal(t, []string{"key-1", kid}, s.Keys())
	require.NoError(t, verify(t, s, token))
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	token := s.Mint(nil)
	s.Withdraw("key-1")
	s.Withdraw("key-1")
	assert.Empty(t, s.Keys())
	assert.JSONEq(t, `{"keys":[]}`, string(s.JWKS()))
	require.Error(t, verify(t, s, token))
	assert.Equal(t, "key-1", part(t, s.Mint(nil), 0)["kid"], "it still signs")

	s.Publish("key-1")
	require.NoError(t, verify(t, s, token))
}

func TestKeysThatThereAreNot(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	for name, f := range map[string]func(){
		"Publish":      func() { s.Publish("key-2") },
		"Withdraw":     func() { s.Withdraw("key-2") },
		"SetKeyMember": func() { s.SetKeyMember("key-2", "use", "enc") },
	} {
		assert.PanicsWithValue(t, `oauthztest: no such key: "key-2"`, f, name)
	}
	assert.NotPanics(t, func() { s.Publish("key-1") }, "the first key is always there")
}

func TestSetKeyMember(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	s.SetKeyMember("key-1", "alg", oauthztest.Absent)
	s.SetKeyMember("key-1", "use", "enc")
	s.SetKeyMember("key-1", "key_ops", []string{"encrypt"})
	key := published(t, s)["key-1"]
	assert.NotContains(t, key, "alg")
	assert.Equal(t, "enc", key["use"])
	assert.Equal(t, []any{"encrypt"}, key["key_ops"])
	assert.Equal(t, "ES256", part(t, s.Mint(nil), 0)["alg"], "minting does not look at it")
}

func TestSetJWKS(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	own := s.JWKS()
	_, body := get(t, s, s.JWKSURL())
	assert.Equal(t, string(own), body)

	for _, document := range []string{`{"error":"maintenance"}`, ""} {
		given := []byte(document)
		s.SetJWKS(given)
		clear(given)
		resp, body := get(t, s, s.JWKSURL())
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, document, body)
		assert.Equal(t, document, string(s.JWKS()))
	}
	s.SetJWKS(nil)
	assert.Equal(t, own, s.JWKS())
}

func TestJWKSIsCacheable(t *testing.T) {
	t.Parallel()
	s := start(t, oauthztest.Config{})
	ask := func(etag string) (*http.Response, string) {
		r := request(t, http.MethodGet, s.JWKSURL(), nil)
		r.Header.Set("If-None-Match", etag)
		return do(t, s, r)
	}
	resp, body := get(t, s, s.JWKSURL())
	etag := resp.Header.Get("ETag")
	assert.Regexp(t, `^"[\w-]+"$`, etag, "strong")
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	assert.NotContains(t, resp.Header, "Cache-Control")
	assert.NotEmpty(t, body)

	s.SetCacheControl("public, max-age=60")
	for _, validator := range []string{etag, `"other", ` + etag, "*"} {
		resp, body = ask(validator)
		assert.Equal(t, http.StatusNotModified, resp.StatusCode)
		assert.Empty(t, body)
		assert.Equal(t, etag, resp.Header.Get("ETag"))
		assert.Equal(t, "public, max-age=60", resp.Header.Get("Cache-Control"))
	}

	s.Rotate()
	resp, body = ask(etag)
	assert.Equal(t, http.StatusOK, resp.StatusCode, "another set, another validator")
	assert.NotEqual(t, etag, resp.Header.Get("ETag"))
	assert.Equal(t, string(s.JWKS()), body)

	s.SetCacheControl("")
	resp, _ = get(t, s, s.JWKSURL())
	assert.NotContains(t, resp.Header, "Cache-Control")
	assert.Equal(t, 6, s.Count(oauthztest.EndpointJWKS))
}
