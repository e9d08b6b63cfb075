package boltlog_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// A wall clock that is ahead for a moment deletes nothing: neither at the start of a program, nor later on.
func TestClockAheadForAMomentDeletesNothing(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]time.Duration{"at the start": 0, "later": 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ahead atomic.Int64
				db := openFile(t, fileIn(t))
				log := newLog(t, db, boltlog.Config{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
				rev := numbered(1)
				rev.Expires = time.Now().Add(time.Hour)
				require.NoError(t, log.Append(t.Context(), rev))
				if before > 0 {
					<-time.After(before)
					appendTo(t, log, 2)
				}
				ahead.Store(int64(24 * time.Hour))
				appendTo(t, log, 3)
				<-time.After(oauthz.MaxLeeway - 1)
				appendTo(t, log, 4)
				ahead.Store(0)
				<-time.After(time.Second)
				appendTo(t, log, 5)
				revs, _ := readAll(t, log, "")
				assert.Contains(t, ids(revs), "1")
			})
		})
	}
}
