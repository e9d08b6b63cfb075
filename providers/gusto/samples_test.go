package gusto_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers/gusto"
	"github.com/oauthz/oauthz/providers/internal/vendortest"
)

// sample is an exchange of the shared test data of the project.
type sample struct {
	ID, System, Operation string
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
		Verdict    string
		Scopes     oauthz.Scopes
		Sub        string
		Tenant     string
		ClientID   string `json:"client_id"`
		Exp        *int64
		RetryAfter int `json:"retry_after"`
	}
}

func samples(t *testing.T) (list []sample, clock time.Time) {
	t.Helper()
	file, err := os.ReadFile("../../../shared/vectors/wire-samples.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared test data is not here")
	}
	require.NoError(t, err)
	var all struct {
		ClockUnix int64 `json:"clock_unix"`
		Exchanges []sample
	}
	require.NoError(t, json.Unmarshal(file, &all))
	for _, s := range all.Exchanges {
		if strings.HasPrefix(s.System, "gusto") {
			list = append(list, s)
		}
	}
	require.Len(t, list, 15)
	return list, time.Unix(all.ClockUnix, 0)
}

func (s *sample) answer() vendortest.Answer {
	a := vendortest.Empty(s.Response.Status)
	for name, value := range s.Response.Headers {
		a = a.With(name, value)
	}
	switch {
	case s.Response.RawBody != nil:
		a.Body = *s.Response.RawBody
	case string(s.Response.Body) != "null":
		a.Body = string(s.Response.Body)
	}
	return a
}

func (s *sample) bearer() string {
	return strings.TrimPrefix(s.Request.Headers["Authorization"], "Bearer ")
}

// client returns a client that sends the request of the sample.
func (s *sample) client(t *testing.T, v *vendortest.Vendor, clock time.Time) (*gusto.Client, map[string]string) {
	var body map[string]string
	require.NoError(t, json.Unmarshal(s.Request.Body, &body))
	return client(t, v, func(cfg *gusto.Config) {
		cfg.APIVersion = s.Request.Headers["X-Gusto-API-Version"]
		cfg.ClientID, cfg.ClientSecret = body["client_id"], oauthz.Secret(body["client_secret"])
		cfg.RedirectURI = body["redirect_uri"]
		cfg.Now = func() time.Time { return clock }
	}), body
}

// assertSent checks that the request to the vendor was the request of the sample.
func (s *sample) assertSent(t *testing.T, v *vendortest.Vendor) {
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

func TestSamplesOfIntrospection(t *testing.T) {
	t.Parallel()
	list, clock := samples(t)
	for _, s := range list {
		if s.Expect == nil {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := vendortest.Serve(t, s.answer())
			c, _ := s.client(t, v, clock)
			got, err := c.Introspect(t.Context(), s.bearer())
			s.assertSent(t, v)
			s.assertExpected(t, v, got, err)
		})
	}
}

func (s *sample) assertExpected(t *testing.T, v *vendortest.Vendor, got *oauthz.Token, err error) {
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
		require.Equal(t, "fault", vendortest.Verdict(got, err), err)
		var e *oauthz.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, time.Duration(s.Expect.RetryAfter)*time.Second, e.RetryAfter)
	case "upstream_error", "caller_error", "invalid_response":
		assert.Equal(t, "fault", vendortest.Verdict(got, err), err)
	default:
		t.Errorf("verdict %q is not known", s.Expect.Verdict)
	}
}

// The same exchanges with IntrospectRaw.
func TestSamplesOfIntrospectRaw(t *testing.T) {
	t.Parallel()
	list, clock := samples(t)
	for _, s := range list {
		if s.Operation != "token_info" {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := vendortest.Serve(t, s.answer())
			c, _ := s.client(t, v, clock)
			got, err := c.IntrospectRaw(t.Context(), s.bearer())
			s.assertSent(t, v)
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

func TestSamplesOfOtherOperations(t *testing.T) {
	t.Parallel()
	list, clock := samples(t)
	for _, s := range list {
		if s.Expect != nil {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := vendortest.Serve(t, s.answer())
			c, body := s.client(t, v, clock)
			var err error
			switch s.Operation {
			case "revoke":
				err = c.Revoke(t.Context(), body["token"])
			case "refresh_access_token":
				_, err = c.Refresh(t.Context(), oauthz.Secret(body["refresh_token"]))
			case "disconnect_app_integration":
				u, _ := url.Parse(s.Request.URL)
				err = c.DisconnectAppIntegration(t.Context(), oauthz.Secret(s.bearer()), strings.Split(u.Path, "/")[3])
			default:
				t.Fatalf("operation %q is not known", s.Operation)
			}
			s.assertSent(t, v)
			if s.Response.Status < 300 {
				require.NoError(t, err)
				return
			}
			operationError(t, err, s.Operation, s.Response.Status)
		})
	}
}
