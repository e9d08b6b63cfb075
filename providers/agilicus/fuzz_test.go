package agilicus_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

var seeds = []string{
	good,
	`{}`,
	`{"sub":"s1","exp":"2026-01-05T22:53:20Z","aud":["urn:api:agilicus:users"],"x":"canary"}`,
	strings.Replace(good, `"jti"`, `"refresh_token_jti":"abc","jti"`, 1),
	`{"sub":"s1","sub":"s2","exp":"1767653600","aud":["urn:api:agilicus:users"]}`,
	`{"sub":"s1","exp":"9e99","aud":"urn:api:agilicus:users","scopes":["a b"]}`,
}

// FuzzAnswer checks that every accepted answer is one strict object with the required members, and that the token holds their
// values.
func FuzzAnswer(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	var body string
	client, err := agilicus.New(config("", &http.Client{Transport: vendortest.RoundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: jsonHeader(), Body: io.NopCloser(strings.NewReader(body))}, nil
	})}))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, answer string) {
		body = answer
		token, err := client.Introspect(context.Background(), jwt)
		if err != nil {
			if k := vendortest.Verdict(token, err); k != "fault" && k != "refusal" {
				t.Fatalf("%s: %v", k, err)
			}
			return
		}
		members, err := strictjson.Object(answer)
		require.NoError(t, err)
		value, _ := strictjson.Lookup(members, "sub")
		sub, err := strictjson.String(value)
		require.NoError(t, err)
		require.NotEmpty(t, sub)
		require.Equal(t, sub, token.Subject)
		require.True(t, token.ExpiresAt.After(clock.Add(-time.Minute)), "expired, beyond the leeway")
		require.Contains(t, token.Audience, audience)
		if value, ok := strictjson.Lookup(members, "refresh_token_jti"); ok {
			require.Equal(t, "null", value)
		}
		for _, scope := range token.Scopes {
			require.NotContains(t, scope, " ")
		}
		if roles, ok := strictjson.Lookup(members, "roles"); ok {
			got, _ := token.Claim("roles")
			require.Equal(t, roles, string(got))
			require.True(t, json.Valid(got))
		}
	})
}
