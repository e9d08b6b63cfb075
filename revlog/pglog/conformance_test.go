//go:build unix

package pglog_test

import (
	"testing"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/logtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := require(t, newServer) // its own, for it is killed
	logtest.Run(t, func(*testing.T) logtest.Store {
		table := newTable()
		return logtest.Store{
			Open: func(t testing.TB) revlog.Log { return openLog(t, s, table, "pool_max_conns=8") },
			Kill: func(testing.TB) { s.kill() },
			Start: func(t testing.TB) {
				t.Helper()
				must(t, "start", s.start())
			},
		}
	})
}
