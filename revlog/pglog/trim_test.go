//go:build unix

package pglog_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
)

// addExpired adds n entries that expired long ago.
func addExpired(t testing.TB, pool *pgxpool.Pool, table string, n int) {
	t.Helper()
	entry, err := revocation("expired").MarshalJSON()
	must(t, "marshal", err)
	run(t, pool, `INSERT INTO `+table+` (id, expires, entry) SELECT n, now() - interval '2 hours' + n * interval '1 ms', $1
		FROM generate_series((SELECT coalesce(max(id), 0) + 1 FROM `+table+`), (SELECT coalesce(max(id), 0) + $2::int FROM `+table+`)) AS n`, entry, n)
}

// oldTransaction keeps VACUUM from removing rows that are deleted before the test ends.
func oldTransaction(t testing.TB, pool *pgxpool.Pool, table string) {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	must(t, "begin", err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), `SELECT FROM `+table+` LIMIT 1`)
	must(t, "read", err)
}

// indexReads returns how many entries of the indexes of the table the server reads for ten
// appends.
func indexReads(t testing.TB, admin, pool *pgxpool.Pool, log revlog.Log, table string) int {
	t.Helper()
	reads := func() int {
		pool.Reset() // a connection reports its statistics when it ends; those of the queries of the test must not come later
		eventually(t, "the connections stay open", func() bool { return len(backends(t, admin, table)) == 0 })
		return query[int](t, admin, `SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE relname = $1`, table)
	}
	before := reads()
	for range 10 {
		appendTo(t, log, "a")
	}
	return reads() - before
}

// Deleted entries that VACUUM cannot remove, because an older transaction is open, do not make
// later appends slower.
func TestAnAppendDoesNotReadTrimmedEntries(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	pool := s.pool(t, "application_name="+table)
	log := newLog(t, pool, table)
	oldTransaction(t, admin, table)
	for range 200 { // the newest hundred are not trimmed
		appendTo(t, log, "a")
	}
	before := indexReads(t, admin, pool, log, table)
	const n = 5_000
	addExpired(t, admin, table, n)
	run(t, admin, `ANALYZE `+table)
	log = newLog(t, pool, table) // a log that has not deleted beyond their time of expiry
	for left := n; left > 100; {
		appendTo(t, log, "a")
		left = query[int](t, pool, `SELECT count(*) FROM `+table+` WHERE expires < now() - interval '1 hour'`)
	}
	for range 100 {
		appendTo(t, log, "a")
	}
	if left := query[int](t, pool, `SELECT count(*) FROM `+table+` WHERE expires < now() - interval '1 hour'`); left > 0 {
		t.Errorf("%d expired entries stay", left)
	}
	for _, statistics := range []string{"old", "new"} { // the server chooses its plan by them
		after := indexReads(t, admin, pool, log, table)
		if after > 2*before {
			t.Errorf("10 appends look at %d entries, and at %d after %d were trimmed, with statistics %s", before, after, n, statistics)
		}
		t.Logf("10 appends look at %d entries, and at %d after %d were trimmed", before, after, n)
		run(t, admin, `ANALYZE `+table)
	}
}

// An entry that had expired long before it was added is deleted, too, although later ones were
// deleted before.
func TestAnEntryAppendedAfterItExpiredIsTrimmed(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	log := logOn(t, admin, table)
	addExpired(t, admin, table, 300)
	for range 110 {
		appendTo(t, log, "a")
	}
	late := revocation("late")
	late.Expires = late.Expires.AddDate(0, 0, -1)
	must(t, "append", log.Append(t.Context(), late))
	for range 110 {
		appendTo(t, log, "a")
	}
	if left := query[int](t, admin, `SELECT count(*) FROM `+table+` WHERE expires < now() - interval '1 hour'`); left > 0 {
		t.Errorf("%d expired entries stay", left)
	}
}
