package jose_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/jose"
)

// located returns a function that returns the URL that location holds.
func located(location *string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return *location, nil }
}

// document fetches a set whose answer has these header fields.
func document(t *testing.T, header ...string) jose.Document {
	t.Helper()
	location := "https://keys.example/jwks"
	get := jose.Remote(client(func(*http.Request) *http.Response { return reply(200, "x", header...) }), located(&location))
	doc, err := get(t.Context(), jose.Want{})
	require.NoError(t, err)
	assert.Equal(t, "x", string(doc.Body))
	return doc
}

func TestMaxAgeOfAnAnswer(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": -1, "public": -1, "s-maxage=600": -1, "max-age": 0, "max-age=": 0,
		"max-age=600": 10 * time.Minute, `Public, MAX-AGE="600"`: 10 * time.Minute, "max-age=600,must-revalidate": 10 * time.Minute,
		"max-age=0": 0, "no-store": 0, "no-cache": 0, "no-cache, max-age=600": 0, "max-age=600, no-store": 0,
		"max-age=-5": 0, "max-age=soon": 0, "max-age=1.5": 0,
		"max-age=3600": time.Hour, "max-age=3601": time.Hour,
		"max-age=1000000000000": time.Hour, "max-age=99999999999999999999999": time.Hour,
	} {
		assert.Equal(t, want, document(t, "Cache-Control", value).MaxAge, value)
	}
	assert.Equal(t, time.Minute, document(t, "Cache-Control", "public", "Cache-Control", "max-age=60").MaxAge, "two fields")
}

func TestAgeOfAnAnswer(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "-1": 0, "+1": 0, "soon": 0, "1.5": 0, // ignored (RFC 9111 §5.1)
		"0": time.Second, "100": 101 * time.Second, // a part of a second is cut off
		"99999999999999999999999": (1 << 31) * time.Second,
	} {
		assert.Equal(t, want, document(t, "Age", value).Age, value)
	}
}

// An ETag is used only at the URL that sent it, and not after a failed fetch.
func TestValidatorBelongsToALocation(t *testing.T) {
	t.Parallel()
	var got []string // If-None-Match, Cache-Control
	status := 200
	respond := func(r *http.Request) *http.Response {
		got = []string{r.Header.Get("If-None-Match"), r.Header.Get("Cache-Control")}
		return reply(status, "x", "ETag", `"1"`)
	}
	location := "https://keys.example/jwks"
	get := jose.Remote(client(respond), located(&location))
	first, err := get(t.Context(), jose.Want{Validator: `"of another fetch"`})
	require.NoError(t, err)
	assert.Equal(t, []string{"", ""}, got)

	status = 304
	doc, err := get(t.Context(), jose.Want{Validator: first.Validator, NoCache: true})
	require.NoError(t, err)
	assert.Nil(t, doc.Body)
	assert.Equal(t, []string{`"1"`, "no-cache"}, got)
	_, err = get(t.Context(), jose.Want{})
	require.EqualError(t, err, "key set: status 304", "without a condition")

	location, status = "https://keys.example/moved", 200
	_, err = get(t.Context(), jose.Want{Validator: first.Validator})
	require.NoError(t, err)
	assert.Equal(t, []string{"", ""}, got)
}

func TestRemoteNamesTheStatus(t *testing.T) {
	t.Parallel()
	location := "https://keys.example/jwks?key=c4n4ry"
	get := jose.Remote(client(func(*http.Request) *http.Response { return reply(500, "c4n4ry") }), located(&location))
	_, err := get(t.Context(), jose.Want{})
	assert.EqualError(t, err, "key set: status 500")
}
