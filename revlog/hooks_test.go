package revlog_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
)

// A panic of Report does not end the process. The list continues, and its Health names the type
// of the panic but not its value.
func TestAPanicOfReportIsRecovered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second, Report: func(error) { panic("canary") }})
		require.NoError(t, list.Revoke(t.Context(), jti("known")))
		log.setRead(down)
		advance(12 * time.Second)
		wantUnavailable(t, list, revlog.ErrLagging, errDown)
		assert.ErrorContains(t, list.Health(), "revlog: report: Config.Report: panic of type string")
		assert.NotContains(t, list.Health().Error(), "canary")
		wantRevoked(t, list, true, "known")
		log.setRead(nil)
		advance(time.Second)
		require.NoError(t, list.Health())
		log.Lose(-1)
		advance(15 * time.Second)
		require.NoError(t, list.Health())
		assert.Equal(t, []string{"known"}, idsInLog(t, log))
	})
}

// A panic of the clock is handled like an error of the log, and does not end the list.
func TestAPanicOfTheClockIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		var reported reports
		log := &scriptedLog{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{Report: reported.add, Now: func() time.Time {
			if broken.Load() {
				panic("canary")
			}
			return time.Now()
		}})
		broken.Store(true)
		advance(3 * time.Second)
		broken.Store(false)
		require.NotEmpty(t, reported.all())
		for _, err := range reported.all() {
			assert.EqualError(t, err, "revlog: follow: panic of type string")
		}
		advance(3 * time.Second)
		require.NoError(t, list.Health())
		require.NoError(t, list.Revoke(t.Context(), jti("1")))
	})
}
