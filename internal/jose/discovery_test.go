package jose_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/jose"
)

func TestWellKnown(t *testing.T) {
	t.Parallel()
	const rfc8414, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	for issuer, want := range map[string][]string{
		"https://a.example":         {"https://a.example" + rfc8414, "https://a.example" + openid},
		"https://a.example/":        {"https://a.example" + rfc8414, "https://a.example" + openid},
		"https://a.example:8443/t":  {"https://a.example:8443" + rfc8414 + "/t", "https://a.example:8443/t" + openid},
		"https://a.example/t%2F1/":  {"https://a.example" + rfc8414 + "/t%2F1", "https://a.example/t%2F1" + openid},
		"http://127.0.0.1:8080/a/b": {"http://127.0.0.1:8080" + rfc8414 + "/a/b", "http://127.0.0.1:8080/a/b" + openid},
	} {
		got, err := jose.WellKnown(issuer)
		require.NoError(t, err, issuer)
		assert.Equal(t, want, got)
	}
	for _, issuer := range []string{"", "a.example", "http://a.example", "https://u:p@a.example", "https://a.example#x"} {
		_, err := jose.WellKnown(issuer)
		assert.Error(t, err, issuer)
	}
	for _, issuer := range []string{"https://a.example?", "https://a.example/t?x=y"} {
		_, err := jose.WellKnown(issuer)
		assert.EqualError(t, err, "holds a query (RFC 8414 §2)", issuer)
	}
}

// The errors of Discover name the configured URLs and the reason, on one line, and
// no part of the answers.
func TestDiscoverNamesTheURLThatFailed(t *testing.T) {
	t.Parallel()
	const issuer, first, second = "https://a.example/t", "https://a.example/.well-known/oauth-authorization-server/t", "https://a.example/t/.well-known/openid-configuration"
	for body, want := range map[string]string{
		`c4n4ry`:                            "the metadata is not a JSON object",
		`{"issuer":"https://c4n4ry"}`:       "the metadata does not name this issuer",
		`{"issuer":"` + issuer + `"}`:       "the metadata has no jwks_uri",
		`{"issuer":"` + issuer + `","a":1}`: "the metadata has no jwks_uri",
		`{"issuer":"` + issuer + `","jwks_uri":"http://localhost/c4n4ry"}`: "the metadata has a bad jwks_uri: not https, although the metadata is",
	} {
		respond := func(r *http.Request) *http.Response {
			if r.URL.String() == second {
				return reply(200, body)
			}
			return reply(404, "c4n4ry")
		}
		_, err := jose.Discover(t.Context(), client(respond), issuer, "jwks_uri")
		assert.EqualError(t, err, first+": status 404; "+second+": "+want)
	}
	for _, bad := range []string{"file:///c4n4ry", "https://u:c4n4ry@a.example", "http://c4n4ry.example"} {
		respond := func(*http.Request) *http.Response {
			return reply(200, `{"issuer":"`+issuer+`","jwks_uri":"`+bad+`"}`)
		}
		_, err := jose.Discover(t.Context(), client(respond), issuer, "jwks_uri")
		require.ErrorContains(t, err, "the metadata has a bad jwks_uri: ")
		assert.False(t, strings.Contains(err.Error(), "c4n4ry") || strings.Contains(err.Error(), "\n"), err)
	}
}

func TestDiscoverTakesTheFirstMetadata(t *testing.T) {
	t.Parallel()
	var paths []string
	respond := func(r *http.Request) *http.Response {
		paths = append(paths, r.URL.Path)
		return reply(200, `{"issuer":"https://a.example","introspection_endpoint":"https://b.example/i"}`)
	}
	got, err := jose.Discover(t.Context(), client(respond), "https://a.example", "introspection_endpoint")
	require.NoError(t, err)
	assert.Equal(t, "https://b.example/i", got)
	assert.Equal(t, []string{"/.well-known/oauth-authorization-server"}, paths)
}
