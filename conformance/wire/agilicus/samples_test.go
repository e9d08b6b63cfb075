package agilicus_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/conformance/wire"
	"github.com/oauthz/oauthz/providers/agilicus"
)

const (
	jwt      = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJjYW5hcnkifQ.canary-signature"
	apiToken = "canary-api-token"
	audience = "urn:api:agilicus:users"
)

var clock = time.Unix(1767650000, 0)

// newClient returns a Client of v.
func newClient(t *testing.T, v *wire.Server, edit ...func(*agilicus.Config)) *agilicus.Client {
	t.Helper()
	cfg := agilicus.Config{
		BaseURL: v.URL, Audience: []string{audience}, HTTPClient: v.Client(), Now: func() time.Time { return clock },
		BearerToken: func(context.Context) (oauthz.Secret, error) { return apiToken, nil },
	}
	for _, e := range edit {
		e(&cfg)
	}
	client, err := agilicus.New(cfg)
	require.NoError(t, err)
	return client
}

func operationError(t *testing.T, err error, operation string, status int) {
	t.Helper()
	wire.WantOperationError(t, err, "agilicus", operation, status)
}

func TestClientSendsAndReadsRecordedExchanges(t *testing.T) {
	t.Parallel()
	list, taken := wire.Replayed(t, "agilicus", 9)
	require.Equal(t, clock, taken)
	for _, e := range list {
		t.Run(e.ID, func(t *testing.T) {
			t.Parallel()
			v := e.Serve(t)
			switch e.Operation {
			case "create_introspect_token":
				replayIntrospect(t, &e, v)
			case "create_reissued_token":
				replayReissue(t, &e, v)
			case "create_revoke_token_task":
				require.NoError(t, newClient(t, v).Revoke(t.Context(), jwt, agilicus.RevokeOptions{}))
				checkRequest(t, &e, v.Last())
			case "create_token_validation":
				replayValidate(t, &e, v)
			case "list_tokens":
				replayList(t, &e, v)
			default:
				t.Fatalf("no replay for operation %q", e.Operation)
			}
		})
	}
}

// placeholders replaces the placeholders of the samples with the values of the tests.
var placeholders = strings.NewReplacer("<JWT>", jwt, "<existing token>", jwt, "<bad>", jwt, "<org>", "the org & co", "%3Corg%3E", "the org & co")

// checkRequest compares a request with the sample: method, path, query, the relevant headers, and body.
func checkRequest(t *testing.T, e *wire.Sample, got wire.Request) {
	t.Helper()
	place, err := url.Parse(e.Request.URL)
	require.NoError(t, err)
	assert.Equal(t, e.Request.Method, got.Method)
	assert.Equal(t, place.Path, got.Path)
	want := place.Query()
	for _, values := range want {
		values[0] = placeholders.Replace(values[0])
	}
	query, err := url.ParseQuery(got.RawQuery)
	require.NoError(t, err)
	assert.Equal(t, want, query)
	assert.Equal(t, e.Request.Headers["Content-Type"], got.Header.Get("Content-Type"))
	assert.Equal(t, "application/json", got.Header.Get("Accept"))
	if _, ok := e.Request.Headers["Authorization"]; ok {
		assert.Equal(t, "Bearer "+apiToken, got.Header.Get("Authorization"))
	} else {
		assert.Empty(t, got.Header.Get("Authorization"))
	}
	if string(e.Request.Body) == "null" {
		assert.Empty(t, got.Body)
		return
	}
	var plain any // the samples escape < and >
	require.NoError(t, json.Unmarshal(e.Request.Body, &plain))
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(plain))
	assert.JSONEq(t, placeholders.Replace(b.String()), got.Body)
}

func replayIntrospect(t *testing.T, e *wire.Sample, v *wire.Server) {
	var sent struct {
		Options *agilicus.IntrospectOptions `json:"introspect_options"`
	}
	require.NoError(t, json.Unmarshal(e.Request.Body, &sent))
	client := newClient(t, v, func(cfg *agilicus.Config) { cfg.Options = sent.Options })
	token, err := client.Introspect(t.Context(), jwt)
	checkRequest(t, e, v.Last())
	switch e.Expect.Verdict {
	case "active":
		require.NoError(t, err)
		assert.Equal(t, e.Expect.Scopes, token.Scopes)
		assert.Equal(t, e.Expect.Sub, token.Subject)
		assert.Equal(t, e.Expect.Tenant, token.Tenant)
		assert.Empty(t, e.Expect.ClientID)
		assert.Empty(t, token.ClientID)
		assert.Equal(t, *e.Expect.Exp, token.ExpiresAt.Unix())
		assert.Equal(t, int64(1767646400), token.IssuedAt.Unix())
	case "inactive":
		require.Equal(t, "refusal", wire.Verdict(token, err), "%v", err)
		assert.Equal(t, e.Expect.Reason == "revoked", errors.Is(err, oauthz.ErrRevoked))
	default:
		t.Fatalf("no verdict %q", e.Expect.Verdict)
	}

	raw, err := client.IntrospectRaw(t.Context(), jwt, sent.Options)
	checkRequest(t, e, v.Last())
	if e.Response.Status != http.StatusOK {
		operationError(t, err, "introspect", e.Response.Status)
		assert.True(t, errors.Is(err, oauthz.ErrRevoked))
		return
	}
	require.NoError(t, err)
	checkToken(t, raw)
	assert.Equal(t, e.ID == "agilicus.introspect.200_refresh", raw.RefreshTokenID == "abc")
}

// checkToken checks the token that all samples have.
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

func replayReissue(t *testing.T, e *wire.Sample, v *wire.Server) {
	got, err := newClient(t, v).Reissue(t.Context(), jwt, "the org & co")
	checkRequest(t, e, v.Last())
	if e.Response.Status == http.StatusOK {
		require.NoError(t, err)
		assert.Equal(t, agilicus.RawToken{Token: "<new JWT>"}, *got)
		return
	}
	assert.EqualError(t, err, "agilicus: reissue: status 400")
	operationError(t, err, "reissue", e.Response.Status)
}

func replayValidate(t *testing.T, e *wire.Sample, v *wire.Server) {
	request := agilicus.CreateTokenRequest{
		Subject: "123", Org: "123", Audiences: []string{"a"}, TimeValidity: agilicus.TimeValidity{Seconds: 1},
	}
	got, err := newClient(t, v).Validate(t.Context(), request)
	checkRequest(t, e, v.Last())
	require.NoError(t, err)
	assert.Equal(t, request, *got)
}

func replayList(t *testing.T, e *wire.Sample, v *wire.Server) {
	revoked := true
	got, err := newClient(t, v).List(t.Context(), agilicus.ListOptions{Limit: 100, Revoked: &revoked, Org: "the org & co"})
	checkRequest(t, e, v.Last())
	require.NoError(t, err)
	assert.Equal(t, 100, got.Limit)
	require.Len(t, got.Tokens, 1)
	checkToken(t, &got.Tokens[0])
}
