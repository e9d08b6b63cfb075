//go:build unix

package pglog_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/logtest"
	"github.com/oauthz/oauthz/revlog/pglog"
)

var tables atomic.Int64

// newTable returns the name of a table that no other test has.
func newTable() string { return fmt.Sprintf("revocations_%d", tables.Add(1)) }

// openLog opens a log with a pool of its own, and creates the table if there is none.
func openLog(t testing.TB, s *server, table string, options ...string) *pglog.Log {
	t.Helper()
	log, err := pglog.New(s.pool(t, options...), pglog.Config{Table: table})
	must(t, "new", err)
	must(t, "create schema", log.CreateSchema(t.Context()))
	return log
}

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
