package rfc7662_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/conformance/wire"
	"github.com/oauthz/oauthz/remote"
)

// The introspector reads the answers of real endpoints of RFC 7662, at the time when they were taken.
func TestIntrospectReadsRecordedAnswers(t *testing.T) {
	t.Parallel()
	samples, clock, _ := wire.Read(t, filepath.Join("..", "..", "testdata"))
	replayed := 0
	for _, s := range samples {
		if s.Dialect == nil || *s.Dialect != "rfc7662" {
			continue
		}
		replayed++
		if s.Response.Headers["Content-Type"] == "" {
			s.Response.Headers = map[string]string{"Content-Type": "application/json"}
		}
		in, err := remote.New(t.Context(), remote.Config{
			Endpoint: s.Serve(t).URL, Auth: remote.None("api"), InsecureAnyAudience: true,
			Now: func() time.Time { return clock },
		})
		require.NoError(t, err)
		got, err := in.Introspect(t.Context(), "opaque")
		switch s.Expect.Verdict {
		case "active":
			require.NoError(t, err, s.ID)
			assert.Equal(t, s.Expect.Scopes, got.Scopes, s.ID)
			assert.Equal(t, s.Expect.Sub, got.Subject, s.ID)
			assert.Equal(t, s.Expect.Tenant, got.Tenant, s.ID)
			assert.Equal(t, s.Expect.ClientID, got.ClientID, s.ID)
			assert.Equal(t, *s.Expect.Exp, got.ExpiresAt.Unix(), s.ID)
		case "inactive":
			assert.ErrorIs(t, err, oauthz.ErrInvalidToken, s.ID)
		default:
			assert.ErrorIs(t, err, oauthz.ErrUnavailable, s.ID)
			assert.NotErrorIs(t, err, oauthz.ErrInvalidToken, s.ID)
		}
	}
	t.Logf("wire samples: %d exchanges of RFC 7662 replayed", replayed)
	assert.Equal(t, 4, replayed)
}
