package polar_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/conformance/wire"
	"github.com/oauthz/oauthz/providers/polar"
)

func TestClientSendsAndReadsRecordedExchanges(t *testing.T) {
	t.Parallel()
	list, taken := wire.Replayed(t, "polar", 21)
	require.Equal(t, clock, taken)
	for _, e := range list {
		t.Run(e.ID, func(t *testing.T) {
			t.Parallel()
			v := e.Serve(t)
			switch e.Operation {
			case "introspect":
				replayIntrospect(t, &e, v)
			case "revoke":
				replayRevoke(t, &e, v)
			case "token":
				replayToken(t, &e, v)
			case "userinfo":
				replayUserInfo(t, &e, v)
			default:
				t.Fatalf("no replay for operation %q", e.Operation)
			}
		})
	}
}

// tokenOf returns a token for a placeholder such as polar_at_u_<43 chars>.
func tokenOf(placeholder any) string {
	text, _ := placeholder.(string)
	prefix, _, ok := strings.Cut(text, "<")
	if !ok || !strings.HasPrefix(prefix, "polar_") {
		prefix = "polar_at_u_"
	}
	return mint(prefix, random)
}

func replayIntrospect(t *testing.T, e *wire.Sample, v *wire.Server) {
	client := newClient(t, v)
	token := tokenOf(members(t, e.Request.Body)["token"])
	got, err := client.Introspect(t.Context(), token)
	checkVerdict(t, e, got, err)
	require.Len(t, v.Requests(), 1)
	checkForm(t, e, v.Last(), url.Values{"token": {token}, "token_type_hint": {"access_token"}})

	raw, err := client.IntrospectRaw(t.Context(), oauthz.Secret(token))
	switch e.Expect.Verdict {
	case "active":
		require.NoError(t, err)
		assert.True(t, raw.Active)
		assert.Equal(t, e.Expect.Sub, raw.SubjectType+"/"+raw.Subject)
		assert.Equal(t, e.Expect.Scopes, raw.Scopes)
		assert.Equal(t, polar.Issuer, raw.Issuer)
		assert.Equal(t, []string{clientID}, raw.Audience)
		assert.Equal(t, "Bearer", raw.TokenType)
		assert.Equal(t, int64(1767649940), raw.IssuedAt.Unix())
	case "inactive":
		require.NoError(t, err)
		assert.Equal(t, &polar.Introspection{}, raw)
	default:
		operationError(t, err, "introspect", e.Response.Status)
	}
	checkForm(t, e, v.Last(), url.Values{"token": {token}, "token_type_hint": {"access_token"}})
}

func checkVerdict(t *testing.T, e *wire.Sample, got *oauthz.Token, err error) {
	t.Helper()
	switch e.Expect.Verdict {
	case "active":
		require.NoError(t, err)
		assert.Equal(t, e.Expect.Scopes, got.Scopes)
		assert.Equal(t, e.Expect.Sub, got.Subject)
		assert.Equal(t, e.Expect.ClientID, got.ClientID)
		assert.Equal(t, *e.Expect.Exp, got.ExpiresAt.Unix())
		require.Empty(t, e.Expect.Tenant)
		assert.Empty(t, got.Tenant)
		assert.Equal(t, polar.Issuer, got.Issuer)
		organizations, ok := got.Claim("organizations")
		assert.True(t, ok)
		assert.JSONEq(t, `[]`, string(organizations))
	case "inactive":
		require.ErrorIs(t, err, oauthz.ErrInactive)
	case "caller_error", "upstream_error", "invalid_response", "rate_limited":
		require.Equal(t, "fault", wire.Verdict(got, err), "%v", err)
		if e.Expect.RetryAfter != 0 {
			var out *oauthz.Error
			require.ErrorAs(t, err, &out)
			assert.Equal(t, time.Duration(e.Expect.RetryAfter)*time.Second, out.RetryAfter)
		}
	default:
		t.Fatalf("no verdict %q", e.Expect.Verdict)
	}
}

// checkForm compares a request with the sample: method, path, headers and members. The credentials may be in the form or in the
// header.
func checkForm(t *testing.T, e *wire.Sample, got wire.Request, want url.Values) {
	t.Helper()
	place, err := url.Parse(e.Request.URL)
	require.NoError(t, err)
	assert.Equal(t, e.Request.Method, got.Method)
	assert.Equal(t, place.Path, got.Path)
	assert.Equal(t, place.RawQuery, got.RawQuery)
	assert.Equal(t, e.Request.Headers["Content-Type"], got.Header.Get("Content-Type"))
	assert.Equal(t, "application/json", got.Header.Get("Accept"))
	id, secret, rest := form(t, got)
	assert.Equal(t, clientID, id)
	assert.Equal(t, clientSecret, secret)
	assert.Equal(t, want, rest)
	if !wire.AnswerOnly(t, e.ID) {
		for name := range members(t, e.Request.Body) { // the form has exactly the members of the sample
			assert.True(t, rest.Has(name) || name == "client_id" || name == "client_secret", "member %s", name)
		}
		for name := range rest {
			assert.Contains(t, members(t, e.Request.Body), name)
		}
	}
}

func replayRevoke(t *testing.T, e *wire.Sample, v *wire.Server) {
	token := tokenOf(members(t, e.Request.Body)["token"])
	err := newClient(t, v).Revoke(t.Context(), oauthz.Secret(token), polar.NoHint)
	checkForm(t, e, v.Last(), url.Values{"token": {token}})
	if e.Response.Status == 200 {
		require.NoError(t, err)
		return
	}
	assert.EqualError(t, err, "polar: revoke: status 400")
	operationError(t, err, "revoke", e.Response.Status)
}

func replayToken(t *testing.T, e *wire.Sample, v *wire.Server) {
	var grant polar.Grant
	var want url.Values
	switch members(t, e.Request.Body)["grant_type"] {
	case "authorization_code":
		redirect := members(t, e.Request.Body)["redirect_uri"].(string)
		grant = polar.AuthorizationCode{Code: "the code", RedirectURI: redirect}
		want = url.Values{"grant_type": {"authorization_code"}, "code": {"the code"}, "redirect_uri": {redirect}}
	case "refresh_token":
		token := tokenOf(members(t, e.Request.Body)["refresh_token"])
		grant = polar.RefreshToken{RefreshToken: oauthz.Secret(token)}
		want = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	default:
		t.Fatal("another grant")
	}
	got, err := newClient(t, v).Token(t.Context(), grant)
	require.NoError(t, err)
	checkForm(t, e, v.Last(), want)
	body := members(t, e.Response.Body)
	assert.Equal(t, body["access_token"], string(got.AccessToken))
	assert.Equal(t, body["refresh_token"], string(got.RefreshToken))
	id, _ := body["id_token"].(string)
	assert.Equal(t, id, string(got.IDToken))
	assert.Equal(t, body["scope"], got.Scopes.String())
	assert.Equal(t, body["expires_in"], got.ExpiresIn.Seconds())
	assert.Equal(t, "Bearer", got.TokenType)
}

func replayUserInfo(t *testing.T, e *wire.Sample, v *wire.Server) {
	_, placeholder, _ := strings.Cut(e.Request.Headers["Authorization"], " ")
	token := tokenOf(placeholder)
	got, err := newClient(t, v).UserInfo(t.Context(), oauthz.Secret(token))
	sent := v.Last()
	place, _ := url.Parse(e.Request.URL)
	assert.Equal(t, e.Request.Method, sent.Method)
	assert.Equal(t, place.Path, sent.Path)
	assert.Equal(t, "Bearer "+token, sent.Header.Get("Authorization"))
	assert.Empty(t, sent.Body)
	if e.Expect.Verdict == "inactive" {
		require.ErrorIs(t, err, oauthz.ErrInvalidToken)
		operationError(t, err, "userinfo", e.Response.Status)
		return
	}
	require.NoError(t, err)
	body := members(t, e.Response.Body)
	assert.Equal(t, e.Expect.Sub, got.Subject)
	name, _ := body["name"].(string)
	email, _ := body["email"].(string)
	verified, _ := body["email_verified"].(bool)
	assert.Equal(t, polar.UserInfo{Subject: e.Expect.Sub, Name: name, Email: email, EmailVerified: verified}, *got)
}
