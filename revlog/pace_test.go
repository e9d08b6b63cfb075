package revlog_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
)

// paced is a log with a Pace.
type paced struct{ scriptedLog }

func (*paced) Pace() time.Duration { return 40 * time.Millisecond }

// A list that is woken a hundred times a second reads about once in each Pace. A list that is
// woken rarely is not delayed.
func TestAPacedLogIsReadAtItsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &paced{scriptedLog{batch: 1 << 30}}
		list := openReady(t, log, revlog.Config{})
		for i := range 20 {
			advance(100 * time.Millisecond)
			require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(i))))
			synctest.Wait()
			wantRevoked(t, list, true, strconv.Itoa(i))
		}
		advance(time.Second)
		for i := range 6 {
			require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(100+i))))
			synctest.Wait()
			wantRevoked(t, list, true, strconv.Itoa(100+i))
		}
		before := len(log.readCalls())
		for i := range 1000 {
			require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(1000+i))))
			advance(10 * time.Millisecond)
			if i > 5 {
				wantRevoked(t, list, true, strconv.Itoa(1000+i-5))
			}
		}
		reads := len(log.readCalls()) - before
		assert.Less(t, reads, 300)
		assert.Greater(t, reads, 200)
		require.NoError(t, list.Health())
		require.NoError(t, list.Close())
	})
}
