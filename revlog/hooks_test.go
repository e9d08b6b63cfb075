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

// A Report that panics does not end the process: the list goes on, and its Health names the panic, without what it was about.
func TestReportPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{MaxLag: 10 * time.Second, Report: func(error) { panic("canary") }})
		require.NoError(t, list.Revoke(t.Context(), jti("known")))
		log.reading(down)
		pass(12 * time.Second)
		wantCannotTell(t, list, revlog.ErrLagging, errDown)
		assert.ErrorContains(t, list.Health(), "revlog: Report: panic of type string")
		assert.NotContains(t, list.Health().Error(), "canary")
		wantRevoked(t, list, true, "known")
		log.reading(nil)
		pass(time.Second)
		require.NoError(t, list.Health())
		log.Lose(-1)
		pass(15 * time.Second)
		require.NoError(t, list.Health())
		assert.Equal(t, []string{"known"}, inLog(t, log))
	})
}

// A clock that panics is a log that cannot be read: an error, and not the end.
func TestClockPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		var told reports
		log := &script{batch: 1 << 30}
		list := openReady(t, log, revlog.Config{Report: told.add, Now: func() time.Time {
			if broken.Load() {
				panic("canary")
			}
			return time.Now()
		}})
		broken.Store(true)
		pass(3 * time.Second)
		broken.Store(false)
		require.NotEmpty(t, told.all())
		for _, err := range told.all() {
			assert.EqualError(t, err, "revlog: panic of type string")
		}
		pass(3 * time.Second)
		require.NoError(t, list.Health())
		require.NoError(t, list.Revoke(t.Context(), jti("1")))
	})
}
