package cases_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/bench/internal/cases"
	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
)

// A comparison with code that does not verify tokens would be false.
func TestEveryEntryChecks(t *testing.T) {
	t.Parallel()
	suite, err := cases.New(t.Context())
	require.NoError(t, err)
	t.Cleanup(suite.Close)
	for _, c := range suite.Cases {
		if c.Handler == nil || c.Guard == "off" || c.Goroutines > 1 {
			continue
		}
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, http.StatusOK, c.Status(c.Tokens.Good), "good")
			assert.Equal(t, http.StatusOK, c.Status(c.Tokens.Good), "good, seen before")
			assert.Equal(t, http.StatusUnauthorized, c.Status(c.Tokens.Forged), "forged")
			assert.Equal(t, http.StatusUnauthorized, c.Status(c.Tokens.Expired), "expired")
			assert.Equal(t, http.StatusUnauthorized, c.Status(c.Tokens.OtherIssuer), "of another issuer")
			assert.Equal(t, http.StatusUnauthorized, c.Status(c.Tokens.OtherAudience), "for another audience")
			assert.Equal(t, http.StatusForbidden, c.Status(c.Tokens.NoScope), "without the scope")
			assert.NotEqual(t, http.StatusOK, c.Status(""), "none: 401, and 400 in one peer")
		})
	}
}

// A case without a cache introspects on each request, and one with our cache does not.
func TestNewOpaqueTokensAreAskedFor(t *testing.T) {
	t.Parallel()
	suite, err := cases.New(t.Context())
	require.NoError(t, err)
	t.Cleanup(suite.Close)
	for _, c := range append(suite.Of(figures.NewOpaque), suite.Of(figures.SeenOpaque)...) {
		want := 3
		if c.Benchmark == figures.SeenOpaque && c.By == peers.Ours {
			want = 0
		}
		before := c.Asked()
		for range 3 {
			require.Equal(t, http.StatusOK, c.Status(c.Tokens.Good), c.Name())
		}
		assert.Equal(t, want, c.Asked()-before, c.Name())
	}
}

// The figures state the checks of a peer correctly.
func TestUncheckedIsWhatPasses(t *testing.T) {
	t.Parallel()
	suite, err := cases.New(t.Context())
	require.NoError(t, err)
	t.Cleanup(suite.Close)
	of := map[string]peers.Peer{}
	for _, peer := range peers.JWT() {
		of[peer.Name] = peer
	}
	for _, c := range suite.Of(figures.NewToken) {
		if c.Goroutines > 1 {
			continue
		}
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, c.Tokens.Flawed)
			var passed []string
			for flaw, token := range c.Tokens.Flawed {
				if c.Status(token) == http.StatusOK {
					passed = append(passed, flaw)
				}
			}
			assert.ElementsMatch(t, of[c.By].Unchecked, passed)
		})
	}
}
