package boltlog_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog/boltlog"
)

// The log calls the clock in a goroutine. A panic of the clock is an error of that Append, and
// of no other.
func TestAPanicOfTheClockIsAnError(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	log := newLog(t, openFile(t, fileIn(t)), boltlog.Config{Now: func() time.Time {
		if broken.Load() {
			panic("canary")
		}
		return time.Now()
	}})
	require.NoError(t, log.Append(t.Context(), numbered(1)))
	broken.Store(true)
	require.EqualError(t, log.Append(t.Context(), numbered(2)), "boltlog: append: panic of type string")
	broken.Store(false)
	require.NoError(t, log.Append(t.Context(), numbered(3)))
	revs, _, err := log.Read(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, revs, 2)
}
