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

// paced is a log that asks for pauses.
type paced struct{ script }

func (*paced) Pace() time.Duration { return 40 * time.Millisecond }

// A list that is woken a hundred times a second reads about once in each Pace. One that is woken now and then is not delayed.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &paced{script{batch: 1 << 30}}
		list := openReady(t, log, revlog.Config{})
		for i := range 20 {
			pass(100 * time.Millisecond)
			require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(i))))
			synctest.Wait()
			wantRevoked(t, list, true, strconv.Itoa(i))
		}
		pass(time.Second)
		for i := range 6 {
			require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(100+i))))
			synctest.Wait()
			wantRevoked(t, list, true, strconv.Itoa(100+i))
		}
		before := len(log.looks())
		for i := range 1000 {
			require.NoError(t, log.Memory.Append(t.Context(), jti(strconv.Itoa(1000+i))))
			pass(10 * time.Millisecond)
			if i > 5 {
				wantRevoked(t, list, true, strconv.Itoa(1000+i-5))
			}
		}
		reads := len(log.looks()) - before
		assert.Less(t, reads, 300)
		assert.Greater(t, reads, 200)
		require.NoError(t, list.Health())
		require.NoError(t, list.Close())
	})
}
