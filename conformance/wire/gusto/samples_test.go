package gusto_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/conformance/wire"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/gusto"
)

// client returns a client that sends the request of the sample.
func client(t *testing.T, s *wire.Sample, v *wire.Server, clock time.Time) (*gusto.Client, map[string]string) {
	var body map[string]string
	require.NoError(t, json.Unmarshal(s.Request.Body, &body))
	c, err := gusto.New(gusto.Config{
		BaseURL: v.URL, InsecureAnyClient: true, HTTPClient: v.Client(), Now: func() time.Time { return clock },
		APIVersion: s.Request.Headers["X-Gusto-API-Version"], RedirectURI: body["redirect_uri"],
		ClientID: body["client_id"], ClientSecret: oauthz.Secret(body["client_secret"]),
	})
	require.NoError(t, err)
	return c, body
}

func operationError(t *testing.T, err error, name string, status int) *providers.OperationError {
	t.Helper()
	return wire.WantOperationError(t, err, "gusto", name, status)
}

// assertSent checks that the request to the vendor was the request of the sample.
func assertSent(t *testing.T, s *wire.Sample, v *wire.Server) {
	t.Helper()
	sent := v.Requests()
	require.Len(t, sent, 1)
	want, err := url.Parse(s.Request.URL)
	require.NoError(t, err)
	got := sent[0]
	assert.Equal(t, s.Request.Method, got.Method)
	assert.Equal(t, want.Path, got.Path)
	assert.NotContains(t, got.URI, "?")
	for name, value := range s.Request.Headers {
		assert.Equal(t, []string{value}, got.Header.Values(name), name)
	}
	if s.Request.Headers["Authorization"] == "" {
		assert.Empty(t, got.Header.Values("Authorization"))
	}
	assert.Len(t, got.Header.Values("X-Gusto-API-Version"), 1)
	if string(s.Request.Body) == "null" {
		assert.Empty(t, got.Body)
	} else {
		assert.JSONEq(t, string(s.Request.Body), got.Body)
	}
}

func TestIntrospectReadsRecordedAnswers(t *testing.T) {
	t.Parallel()
	list, clock := wire.Replayed(t, "gusto", 15)
	for _, s := range list {
		if s.Expect == nil {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := s.Serve(t)
			c, _ := client(t, &s, v, clock)
			got, err := c.Introspect(t.Context(), s.Bearer())
			assertSent(t, &s, v)
			assertExpected(t, &s, v, got, err)
		})
	}
}

func assertExpected(t *testing.T, s *wire.Sample, v *wire.Server, got *oauthz.Token, err error) {
	switch s.Expect.Verdict {
	case "active":
		require.NoError(t, err)
		assert.Equal(t, s.Expect.Scopes, got.Scopes)
		assert.Equal(t, s.Expect.Sub, got.Subject)
		assert.Equal(t, s.Expect.Tenant, got.Tenant)
		assert.Equal(t, s.Expect.ClientID, got.ClientID)
		assert.Equal(t, s.Expect.Exp == nil, got.ExpiresAt.IsZero())
		assert.Equal(t, v.URL, got.Issuer)
	case "inactive":
		assert.ErrorIs(t, err, oauthz.ErrInactive)
	case "rate_limited":
		require.Equal(t, "fault", wire.Verdict(got, err), err)
		var e *oauthz.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, time.Duration(s.Expect.RetryAfter)*time.Second, e.RetryAfter)
	case "upstream_error", "caller_error", "invalid_response":
		assert.Equal(t, "fault", wire.Verdict(got, err), err)
	default:
		t.Errorf("verdict %q is not known", s.Expect.Verdict)
	}
}

// The same exchanges with IntrospectRaw.
func TestIntrospectRawReadsRecordedAnswers(t *testing.T) {
	t.Parallel()
	list, clock := wire.Replayed(t, "gusto", 15)
	for _, s := range list {
		if s.Operation != "token_info" {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := s.Serve(t)
			c, _ := client(t, &s, v, clock)
			got, err := c.IntrospectRaw(t.Context(), s.Bearer())
			assertSent(t, &s, v)
			if s.Expect.Verdict == "active" {
				require.NoError(t, err)
				assert.Equal(t, s.Expect.Scopes, got.Scopes)
				assert.Equal(t, s.Expect.Tenant, got.Resource.String())
				return
			}
			e := operationError(t, err, "token_info", s.Response.Status)
			assert.Equal(t, s.Expect.Verdict == "inactive", errors.Is(err, oauthz.ErrInactive))
			assert.Equal(t, time.Duration(s.Expect.RetryAfter)*time.Second, e.RetryAfter)
			assert.Nil(t, got)
		})
	}
}

func TestOtherOperationsReadRecordedAnswers(t *testing.T) {
	t.Parallel()
	list, clock := wire.Replayed(t, "gusto", 15)
	for _, s := range list {
		if s.Expect != nil {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := s.Serve(t)
			c, body := client(t, &s, v, clock)
			var err error
			switch s.Operation {
			case "revoke":
				err = c.Revoke(t.Context(), body["token"])
			case "refresh_access_token":
				_, err = c.Refresh(t.Context(), oauthz.Secret(body["refresh_token"]))
			case "disconnect_app_integration":
				u, _ := url.Parse(s.Request.URL)
				err = c.DisconnectAppIntegration(t.Context(), oauthz.Secret(s.Bearer()), strings.Split(u.Path, "/")[3])
			default:
				t.Fatalf("operation %q is not known", s.Operation)
			}
			assertSent(t, &s, v)
			if s.Response.Status < 300 {
				require.NoError(t, err)
				return
			}
			operationError(t, err, s.Operation, s.Response.Status)
		})
	}
}
