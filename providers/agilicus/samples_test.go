package agilicus_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/agilicus"
)

// Samples that are not replayed, and why.
var exceptions = map[string]string{
	"agilicus.introspect_self.200": "another dialect, where the token is the credential",
	"agilicus.introspect_self.404": "another dialect, where the token is the credential",
}

func config(base string, client *http.Client) agilicus.Config {
	return agilicus.Config{
		BaseURL: base, Audience: []string{audience}, HTTPClient: client, Now: func() time.Time { return clock },
		BearerToken: func(context.Context) (oauthz.Secret, error) { return apiToken, nil },
	}
}

func TestWireSamples(t *testing.T) {
	t.Parallel()
	for _, e := range samples(t) {
		t.Run(e.ID, func(t *testing.T) {
			t.Parallel()
			if why, ok := exceptions[e.ID]; ok {
				t.Skip(why)
			}
			f := e.fake()
			switch e.Operation {
			case "create_introspect_token":
				replayIntrospect(t, &e, f)
			case "create_reissued_token":
				replayReissue(t, &e, f)
			case "create_revoke_token_task":
				require.NoError(t, f.client(t).Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
				checkRequest(t, &e, f.last.Load())
			case "create_token_validation":
				replayValidate(t, &e, f)
			case "list_tokens":
				replayList(t, &e, f)
			default:
				t.Fatalf("no replay for operation %q", e.Operation)
			}
		})
	}
}

// The exceptions are of samples that exist.
func TestExceptionsExist(t *testing.T) {
	t.Parallel()
	all := samples(t)
	for id := range exceptions {
		assert.True(t, slices.ContainsFunc(all, func(e exchange) bool { return e.ID == id }), id)
	}
}

// Placeholders of the samples, and what stands for them here.
var placeholders = strings.NewReplacer("<JWT>", jwt, "<existing token>", jwt, "<bad>", jwt, "<org>", "the org & co", "%3Corg%3E", "the org & co")

// checkRequest compares what was asked with the sample: method, path, query, the headers that matter, and body.
func checkRequest(t *testing.T, e *exchange, got *asked) {
	t.Helper()
	place, err := url.Parse(e.Request.URL)
	require.NoError(t, err)
	assert.Equal(t, e.Request.Method, got.method)
	assert.Equal(t, place.Path, got.path)
	want := place.Query()
	for _, values := range want {
		values[0] = placeholders.Replace(values[0])
	}
	query, err := url.ParseQuery(got.rawQuery)
	require.NoError(t, err)
	assert.Equal(t, want, query)
	assert.Equal(t, e.Request.Headers["Content-Type"], got.header.Get("Content-Type"))
	assert.Equal(t, "application/json", got.header.Get("Accept"))
	if _, ok := e.Request.Headers["Authorization"]; ok {
		assert.Equal(t, "Bearer "+apiToken, got.header.Get("Authorization"))
	} else {
		assert.Empty(t, got.header.Get("Authorization"))
	}
	if string(e.Request.Body) == "null" {
		assert.Empty(t, got.body)
		return
	}
	var plain any // the samples escape < and >
	require.NoError(t, json.Unmarshal(e.Request.Body, &plain))
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(plain))
	assert.JSONEq(t, placeholders.Replace(b.String()), got.body)
}

func replayIntrospect(t *testing.T, e *exchange, f *fake) {
	var sent struct {
		Options *agilicus.IntrospectOptions `json:"introspect_options"`
	}
	require.NoError(t, json.Unmarshal(e.Request.Body, &sent))
	client := f.client(t, func(cfg *agilicus.Config) { cfg.Options = sent.Options })
	token, err := client.Introspect(t.Context(), jwt)
	checkRequest(t, e, f.last.Load())
	switch e.Expect.Verdict {
	case "active":
		require.NoError(t, err)
		assert.Equal(t, e.Expect.Scopes, []string(token.Scopes))
		assert.Equal(t, *e.Expect.Sub, token.Subject)
		assert.Equal(t, *e.Expect.Tenant, token.Tenant)
		assert.Nil(t, e.Expect.ClientID)
		assert.Empty(t, token.ClientID)
		assert.Equal(t, *e.Expect.Exp, token.ExpiresAt.Unix())
		assert.Equal(t, int64(1767646400), token.IssuedAt.Unix())
	case "inactive":
		require.Equal(t, "refusal", kind(token, err), "%v", err)
		assert.Equal(t, *e.Expect.Reason == "revoked", errors.Is(err, oauthz.ErrRevoked))
	default:
		t.Fatalf("no verdict %q", e.Expect.Verdict)
	}

	raw, err := client.IntrospectRaw(t.Context(), jwt, sent.Options)
	checkRequest(t, e, f.last.Load())
	if e.Response.Status != http.StatusOK {
		wantError(t, err, "agilicus: introspect: status ", e.Response.Status)
		assert.True(t, errors.Is(err, oauthz.ErrRevoked))
		return
	}
	require.NoError(t, err)
	checkToken(t, raw)
	assert.Equal(t, e.ID == "agilicus.introspect.200_refresh", raw.RefreshTokenID == "abc")
}

// checkToken: all samples have the one token.
func checkToken(t *testing.T, got *agilicus.Token) {
	t.Helper()
	assert.Equal(t, "tuU7smH86zAXMl76sua6xQ", got.Subject)
	assert.Equal(t, "user@example.com", got.Email)
	assert.Equal(t, "IAsl3dl40aSsfLKiU76", got.Org)
	assert.Equal(t, "IAsl3dl40aSsfLKiU76", got.RootOrg)
	assert.Equal(t, map[string][]string{"urn:api:agilicus:users": {"owner"}}, got.Roles)
	assert.Equal(t, "9Xd8s0d2kd", got.ID)
	assert.Equal(t, int64(1767646400), got.IssuedAt.Unix())
	assert.Equal(t, int64(1767653600), got.ExpiresAt.Unix())
	assert.Equal(t, []string{"urn:api:agilicus:gateway", "urn:api:agilicus:users"}, got.Audience)
	assert.Equal(t, "XAYl3dl40uSsfLViU76", got.Session)
	assert.Equal(t, []string{"urn:agilicus:users:owner"}, got.Scopes)
	require.Len(t, got.Hosts, 1)
	assert.Equal(t, "example.com", got.Hosts[0].UpstreamHost)
	require.Len(t, got.Hosts[0].AllowedList, 1)
	assert.JSONEq(t, `{"methods":["get"],"paths":["/.*"]}`, string(got.Hosts[0].AllowedList[0]))
}

func replayReissue(t *testing.T, e *exchange, f *fake) {
	got, err := f.client(t).Reissue(t.Context(), jwt, "the org & co")
	checkRequest(t, e, f.last.Load())
	if e.Response.Status == http.StatusOK {
		require.NoError(t, err)
		assert.Equal(t, agilicus.RawToken{Token: "<new JWT>"}, *got)
		return
	}
	assert.EqualError(t, err, "agilicus: reissue: status 400")
	wantError(t, err, "agilicus: reissue: status ", e.Response.Status)
}

func replayValidate(t *testing.T, e *exchange, f *fake) {
	request := agilicus.CreateTokenRequest{
		Subject: "123", Org: "123", Audiences: []string{"a"}, TimeValidity: agilicus.TimeValidity{Seconds: 1},
	}
	got, err := f.client(t).Validate(t.Context(), request)
	checkRequest(t, e, f.last.Load())
	require.NoError(t, err)
	assert.Equal(t, request, *got)
}

func replayList(t *testing.T, e *exchange, f *fake) {
	revoked := true
	got, err := f.client(t).List(t.Context(), agilicus.ListOptions{Limit: 100, Revoked: &revoked, Org: "the org & co"})
	checkRequest(t, e, f.last.Load())
	require.NoError(t, err)
	assert.Equal(t, 100, got.Limit)
	require.Len(t, got.Tokens, 1)
	checkToken(t, &got.Tokens[0])
}
