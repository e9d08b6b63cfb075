package affix_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/conformance/wire"
	"github.com/oauthz/oauthz/providers/affix"
)

// assertSent checks that every request to the vendor was the request of the sample.
func assertSent(t *testing.T, s *wire.Sample, v *wire.Server) {
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

// ours is the client whose tokens are accepted.
const ours = "00000000-00000000-00000000-00000000"

func client(t *testing.T, v *wire.Server, clock time.Time) *affix.Client {
	t.Helper()
	c, err := affix.New(affix.Config{
		BaseURL: v.URL, ClientIDs: []string{"another", ours}, HTTPClient: v.Client(), Now: func() time.Time { return clock },
	})
	require.NoError(t, err)
	return c
}

func TestIntrospectReadsRecordedAnswers(t *testing.T) {
	t.Parallel()
	list, clock := wire.Replayed(t, "affix", 5)
	for _, s := range list {
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			v := s.Serve(t)
			c := client(t, v, clock)
			got, err := c.Introspect(t.Context(), s.Bearer())
			assertExpected(t, &s, v, got, err)
			inspection, err := c.IntrospectRaw(t.Context(), s.Bearer())
			require.Len(t, v.Requests(), 2)
			assertSent(t, &s, v)
			if s.Expect.Verdict == "active" {
				require.NoError(t, err)
				assert.Equal(t, s.Expect.ClientID, inspection.ClientID)
				assert.Equal(t, []string(s.Expect.Scopes), inspection.Scopes)
				return
			}
			wire.WantOperationError(t, err, "affix", "introspect", s.Response.Status)
			assert.Equal(t, s.Expect.Verdict == "inactive", errors.Is(err, oauthz.ErrInactive))
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
	case "upstream_error", "caller_error":
		assert.Equal(t, "fault", wire.Verdict(got, err), err)
	default:
		t.Errorf("verdict %q is not known", s.Expect.Verdict)
	}
}
