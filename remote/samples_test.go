package remote_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

// TestWireSamples replays the exchanges with endpoints of RFC 7662 that are kept
// beside the project, at the time they were taken.
func TestWireSamples(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "vectors", "wire-samples.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no ../shared/vectors/wire-samples.json beside the project")
	}
	require.NoError(t, err)
	var file struct {
		Clock     int64 `json:"clock_unix"`
		Exchanges []struct {
			ID, Dialect string
			Response    struct {
				Status  int
				Headers map[string]string
				Body    json.RawMessage
			}
			Expect struct {
				Verdict, Sub, Tenant string
				ClientID             string `json:"client_id"`
				Scopes               []string
				Exp                  int64
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	replayed := 0
	for _, x := range file.Exchanges {
		if x.Dialect != "rfc7662" {
			continue
		}
		replayed++
		e := newEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for name, value := range x.Response.Headers {
				w.Header().Set(name, value)
			}
			w.WriteHeader(x.Response.Status)
			_, _ = w.Write(x.Response.Body)
		})
		in := e.introspector(t, func(c *remote.Config) {
			c.Audience, c.InsecureAnyAudience = nil, true
			c.Now = func() time.Time { return time.Unix(file.Clock, 0) }
		})
		got, err := in.Introspect(t.Context(), "opaque")
		switch x.Expect.Verdict {
		case "active":
			require.NoError(t, err, x.ID)
			assert.Equal(t, oauthz.Scopes(x.Expect.Scopes), got.Scopes, x.ID)
			assert.Equal(t, x.Expect.Sub, got.Subject, x.ID)
			assert.Equal(t, x.Expect.Tenant, got.Tenant, x.ID)
			assert.Equal(t, x.Expect.ClientID, got.ClientID, x.ID)
			assert.Equal(t, x.Expect.Exp, got.ExpiresAt.Unix(), x.ID)
		case "inactive":
			assert.ErrorIs(t, err, oauthz.ErrInvalidToken, x.ID)
		default:
			assert.ErrorIs(t, err, oauthz.ErrUnavailable, x.ID)
			assert.NotErrorIs(t, err, oauthz.ErrInvalidToken, x.ID)
		}
	}
	assert.Equal(t, 4, replayed)
}
