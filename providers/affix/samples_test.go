package affix_test

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
	"github.com/oauthz/oauthz/providers/affix"
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
		Verdict  string
		Scopes   oauthz.Scopes
		Sub      string
		Tenant   string
		ClientID string `json:"client_id"`
		Exp      *int64
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
		if strings.HasPrefix(s.System, "affix") {
			list = append(list, s)
		}
	}
	require.Len(t, list, 10)
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

// assertSent checks that every request to the vendor was the request of the sample.
func (s *sample) assertSent(t *testing.T, v *vendortest.Vendor) {
	t.Helper()
	want, err := url.Parse(s.Request.URL)
	require.NoError(t, err)
	for _, got := range v.Requests() {
		assert.Equal(t, s.Request.Method, got.Method)
		assert.Equal(t, want.Path, got.URI)
		for name, value := range s.Request.Headers {
			assert.Equal(t, []string{value}, got.Header.Values(name), name)
		}
		assert.Empty(t, got.Body)
	}
}

// This package does not have the operations of the samples that are not introspections.
func TestSamples(t *testing.T) {
	t.Parallel()
	list, clock := samples(t)
	for _, s := range list {
		if s.Expect == nil {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := vendortest.Serve(t, s.answer())
			c := client(t, v, func(cfg *affix.Config) { cfg.Now = func() time.Time { return clock } })
			got, err := c.Introspect(t.Context(), s.bearer())
			s.assertExpected(t, v, got, err)
			inspection, err := c.IntrospectRaw(t.Context(), s.bearer())
			require.Len(t, v.Requests(), 2)
			s.assertSent(t, v)
			if s.Expect.Verdict == "active" {
				require.NoError(t, err)
				assert.Equal(t, s.Expect.ClientID, inspection.ClientID)
				assert.Equal(t, []string(s.Expect.Scopes), inspection.Scopes)
				return
			}
			operationError(t, err, s.Response.Status)
			assert.Equal(t, s.Expect.Verdict == "inactive", errors.Is(err, oauthz.ErrInactive))
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
	case "upstream_error", "caller_error":
		assert.Equal(t, "fault", vendortest.Verdict(got, err), err)
	default:
		t.Errorf("verdict %q is not known", s.Expect.Verdict)
	}
}
