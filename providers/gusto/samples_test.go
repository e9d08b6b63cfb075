package gusto_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/providers/gusto"
)

// sample is an exchange of the project's shared test data.
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

func (s *sample) answer() answer {
	a := answer{status: s.Response.Status, header: s.Response.Headers}
	switch {
	case s.Response.RawBody != nil:
		a.body = *s.Response.RawBody
	case string(s.Response.Body) != "null":
		a.body = string(s.Response.Body)
	}
	return a
}

func (s *sample) bearer() string {
	return strings.TrimPrefix(s.Request.Headers["Authorization"], "Bearer ")
}

// client is configured so that it sends what the sample has.
func (s *sample) client(t *testing.T, v *vendor, clock time.Time) (*gusto.Client, map[string]string) {
	var body map[string]string
	require.NoError(t, json.Unmarshal(s.Request.Body, &body))
	return client(t, v, func(cfg *gusto.Config) {
		cfg.APIVersion = s.Request.Headers["X-Gusto-API-Version"]
		cfg.ClientID, cfg.ClientSecret = body["client_id"], oauthz.Secret(body["client_secret"])
		cfg.RedirectURI = body["redirect_uri"]
		cfg.Now = func() time.Time { return clock }
	}), body
}

// assertSent: the vendor saw the sample's request.
func (s *sample) assertSent(t *testing.T, v *vendor) {
	t.Helper()
	asked := v.questions()
	require.Len(t, asked, 1)
	want, err := url.Parse(s.Request.URL)
	require.NoError(t, err)
	got := asked[0]
	assert.Equal(t, s.Request.Method, got.method)
	assert.Equal(t, want.Path, got.path)
	assert.NotContains(t, got.uri, "?")
	for name, value := range s.Request.Headers {
		assert.Equal(t, []string{value}, got.header.Values(name), name)
	}
	if s.Request.Headers["Authorization"] == "" {
		assert.Empty(t, got.header.Values("Authorization"))
	}
	assert.Len(t, got.header.Values("X-Gusto-API-Version"), 1)
	if string(s.Request.Body) == "null" {
		assert.Empty(t, got.body)
	} else {
		assert.JSONEq(t, string(s.Request.Body), got.body)
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
			v := serve(t, s.answer())
			c, _ := s.client(t, v, clock)
			got, err := c.Introspect(t.Context(), s.bearer())
			s.assertSent(t, v)
			s.assertExpected(t, v, got, err)
		})
	}
}

func (s *sample) assertExpected(t *testing.T, v *vendor, got *oauthz.Token, err error) {
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
		require.Equal(t, "fault", verdict(err), err)
		var e *oauthz.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, time.Duration(s.Expect.RetryAfter)*time.Second, e.RetryAfter)
	case "upstream_error", "caller_error", "invalid_response":
		assert.Equal(t, "fault", verdict(err), err)
	default:
		t.Errorf("verdict %q is not known", s.Expect.Verdict)
	}
}

// The same exchanges through IntrospectRaw.
func TestSamplesOfIntrospectRaw(t *testing.T) {
	t.Parallel()
	list, clock := samples(t)
	for _, s := range list {
		if s.Operation != "token_info" {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := serve(t, s.answer())
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
			v := serve(t, s.answer())
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

func operationError(t *testing.T, err error, name string, status int) *providers.OperationError {
	t.Helper()
	var e *providers.OperationError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "gusto", e.Vendor)
	assert.Equal(t, name, e.Operation)
	assert.Equal(t, status, e.Status)
	if status != 0 {
		assert.Contains(t, err.Error(), "gusto: "+name+": status ")
	}
	if status == http.StatusTooManyRequests || status >= 500 {
		assert.ErrorIs(t, err, oauthz.ErrUnavailable)
	}
	return e
}
