package revlog_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// A log is written to without a pause, so that no Read is empty. Only a list that knows how
// many entries a Read returns at most can tell that it is not behind.
func TestAListKeepsUpWithABusyBatcher(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		batch int
		want  error
	}{
		{name: "fewer than a batch", batch: 4},
		{name: "a batch each time", batch: 3, want: revlog.ErrLagging},
		{name: "a log that is not a Batcher", want: revlog.ErrLagging},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := 0
				busy := func(ctx context.Context, _ string, _ time.Duration) ([]oauthz.Revocation, string, error) {
					if n++; n == 1 {
						return nil, "0", nil
					}
					select {
					case <-time.After(10 * time.Millisecond):
					case <-ctx.Done():
						return nil, "", ctx.Err()
					}
					return []oauthz.Revocation{jti(fmt.Sprint(n, "a")), jti(fmt.Sprint(n, "b")), jti(fmt.Sprint(n, "c"))}, fmt.Sprint(n), nil
				}
				list, err := revlog.Open(t.Context(), &scriptedLog{read: busy, batch: tt.batch}, revlog.Config{MaxLag: 10 * time.Second})
				require.NoError(t, err)
				defer list.Close()
				require.NoError(t, list.Ready(t.Context()))
				<-time.After(time.Minute)
				assert.ErrorIs(t, list.Health(), tt.want)
				revoked, err := list.Revoked(t.Context(), token("1000b"))
				require.NoError(t, err)
				assert.True(t, revoked)
			})
		})
	}
}
