//go:build unix

package pglog_test

import (
	"testing"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/logtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := requireServer(t, newServer) // a server of its own, because the suite kills it
	logtest.Run(t, func(t *testing.T) logtest.Store {
		table, admin := newTable(), s.pool(t)
		return logtest.Store{
			Open: func(t testing.TB) revlog.Log { return openLog(t, s, table, "pool_max_conns=8") },
			Kill: func(testing.TB) { s.kill() },
			Start: func(t testing.TB) {
				t.Helper()
				must(t, "start", s.start())
			},
			Lose: func(t testing.TB, n int) {
				t.Helper()
				if n < 0 {
					run(t, admin, `TRUNCATE `+table)
				} else {
					run(t, admin, `DELETE FROM `+table+` WHERE id > (SELECT max(id) FROM `+table+`) - $1::int`, n)
				}
			},
		}
	})
}
