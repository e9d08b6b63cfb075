package agilicus_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/agilicus"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

// exceptions are the samples that are not replayed, and the reason.
var exceptions = map[string]string{
	"agilicus.introspect_self.200": "another dialect, where the token is the credential",
	"agilicus.introspect_self.404": "another dialect, where the token is the credential",
}

func TestWireSamples(t *testing.T) {
	t.Parallel()
	for _, e := range samples(t) {
		t.Run(e.ID, func(t *testing.T) {
			t.Parallel()
			if why, ok := exceptions[e.ID]; ok {
				t.Skip(why)
			}
			v := e.vendor(t)
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

// Every exception names a sample that exists.
func TestExceptionsExist(t *testing.T) {
	t.Parallel()
	all := samples(t)
	for id := range exceptions {
		assert.True(t, slices.ContainsFunc(all, func(e exchange) bool { return e.ID == id }), id)
	}
}

// placeholders replaces the placeholders of the samples with the values of the tests.
var placeholders = strings.NewReplacer("<JWT>", jwt, "<existing token>", jwt, "<bad>", jwt, "<org>", "the org & co", "%3Corg%3E", "the org & co")

// checkRequest compares a request with the sample: method, path, query, the relevant headers, and body.
func checkRequest(t *testing.T, e *exchange, got vendortest.Request) {
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

func replayIntrospect(t *testing.T, e *exchange, v *vendortest.Vendor) {
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
		assert.Equal(t, e.Expect.Scopes, []string(token.Scopes))
		assert.Equal(t, *e.Expect.Sub, token.Subject)
		assert.Equal(t, *e.Expect.Tenant, token.Tenant)
		assert.Nil(t, e.Expect.ClientID)
		assert.Empty(t, token.ClientID)
		assert.Equal(t, *e.Expect.Exp, token.ExpiresAt.Unix())
		assert.Equal(t, int64(1767646400), token.IssuedAt.Unix())
	case "inactive":
		require.Equal(t, "refusal", vendortest.Verdict(token, err), "%v", err)
		assert.Equal(t, *e.Expect.Reason == "revoked", errors.Is(err, oauthz.ErrRevoked))
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

func replayReissue(t *testing.T, e *exchange, v *vendortest.Vendor) {
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

func replayValidate(t *testing.T, e *exchange, v *vendortest.Vendor) {
	request := agilicus.CreateTokenRequest{
		Subject: "123", Org: "123", Audiences: []string{"a"}, TimeValidity: agilicus.TimeValidity{Seconds: 1},
	}
	got, err := newClient(t, v).Validate(t.Context(), request)
	checkRequest(t, e, v.Last())
	require.NoError(t, err)
	assert.Equal(t, request, *got)
}

func replayList(t *testing.T, e *exchange, v *vendortest.Vendor) {
	revoked := true
	got, err := newClient(t, v).List(t.Context(), agilicus.ListOptions{Limit: 100, Revoked: &revoked, Org: "the org & co"})
	checkRequest(t, e, v.Last())
	require.NoError(t, err)
	assert.Equal(t, 100, got.Limit)
	require.Len(t, got.Tokens, 1)
	checkToken(t, &got.Tokens[0])
}

type exchange struct {
	ID, System, Operation string
	Dialect               *string
	Request               struct {
		Method, URL string
		Headers     map[string]string
		Body        json.RawMessage
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
		RawBody *string `json:"raw_body"`
	}
	Expect *struct {
		Verdict  string
		Reason   *string
		Scopes   []string
		Sub      *string
		Tenant   *string
		ClientID *string `json:"client_id"`
		Exp      *int64
	}
}

// vendor returns a vendor that gives the answer of the sample.
func (e *exchange) vendor(t *testing.T) *vendortest.Vendor {
	a := vendortest.Typed(e.Response.Status, "", string(e.Response.Body))
	for name, value := range e.Response.Headers {
		a = a.With(name, value)
	}
	if e.Response.RawBody != nil {
		a.Body = *e.Response.RawBody
	}
	return vendortest.Serve(t, a)
}

func samples(t *testing.T) []exchange {
	t.Helper()
	data, err := os.ReadFile("../../../shared/vectors/wire-samples.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no ../shared/vectors/wire-samples.json beside the checkout")
	}
	require.NoError(t, err)
	var file struct {
		Clock     int64 `json:"clock_unix"`
		Exchanges []exchange
	}
	require.NoError(t, json.Unmarshal(data, &file))
	require.Equal(t, clock.Unix(), file.Clock)
	var out []exchange
	for _, e := range file.Exchanges {
		if e.System == "agilicus" {
			out = append(out, e)
		}
	}
	require.NotEmpty(t, out)
	return out
}
