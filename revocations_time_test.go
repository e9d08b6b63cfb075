package oauthz_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// A list is asked without a Guard too: a token that was issued too far ahead does not escape an IssuedUntil there.
func TestRevokedOfATokenIssuedTooFarAhead(t *testing.T) {
	t.Parallel()
	limited := until(0) // up to epoch
	for _, tt := range []struct {
		ahead time.Duration
		want  bool
	}{
		{-time.Second, true}, {0, true}, {1, false}, {oauthz.MaxLeeway, false}, {oauthz.MaxLeeway + 1, true}, {24 * time.Hour, true},
	} {
		token := &oauthz.Token{Issuer: fmt.Sprint(limited[0].Match["iss"]), Subject: fmt.Sprint(limited[0].Match["sub"]), IssuedAt: epoch.Add(tt.ahead)}
		revoked, err := revocations(t, limited...).Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, tt.want, revoked, "%v", tt.ahead)
		revoked, err = revocations(t, by(match{"iss": token.Issuer, "sub": "another"})...).Revoked(t.Context(), token)
		require.NoError(t, err)
		assert.False(t, revoked, "an entry that does not match")
	}
}
