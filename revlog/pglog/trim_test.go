//go:build unix

package pglog_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
)

// expired adds n entries that expired long ago.
func expired(t testing.TB, pool *pgxpool.Pool, table string, n int) {
	t.Helper()
	entry, err := revocation("over").MarshalJSON()
	must(t, "marshal", err)
	run(t, pool, `INSERT INTO `+table+` (id, expires, entry) SELECT n, now() - interval '2 hours' + n * interval '1 ms', $1
		FROM generate_series((SELECT coalesce(max(id), 0) + 1 FROM `+table+`), (SELECT coalesce(max(id), 0) + $2::int FROM `+table+`)) AS n`, entry, n)
}

// oldTransaction keeps VACUUM from the rows that are deleted before the test ends.
func oldTransaction(t testing.TB, pool *pgxpool.Pool, table string) {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	must(t, "begin", err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), `SELECT FROM `+table+` LIMIT 1`)
	must(t, "read", err)
}

// cost returns how many entries of the table's indexes the server looks at for some appends.
func cost(t testing.TB, admin, pool *pgxpool.Pool, log revlog.Log, table string) int {
	t.Helper()
	walked := func() int {
		pool.Reset() // a connection reports its work when it ends, and that of the test's own queries must not come later
		eventually(t, "the connections stay", func() bool { return len(backends(t, admin, table)) == 0 })
		return query[int](t, admin, `SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE relname = $1`, table)
	}
	before := walked()
	for range 10 {
		add(t, log, "a")
	}
	return walked() - before
}

// Deleted entries that VACUUM cannot remove, because an older transaction is open, do not make later appends slower.
func TestAnAppendDoesNotWalkOverWhatWasTrimmed(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	pool := s.pool(t, "application_name="+table)
	log := newLog(t, pool, table)
	oldTransaction(t, admin, table)
	for range 200 { // the newest hundred are not trimmed
		add(t, log, "a")
	}
	before := cost(t, admin, pool, log, table)
	const n = 5_000
	expired(t, admin, table, n)
	run(t, admin, `ANALYZE `+table)
	log = newLog(t, pool, table) // one that has not trimmed beyond their time
	for left := n; left > 100; {
		add(t, log, "a")
		left = query[int](t, pool, `SELECT count(*) FROM `+table+` WHERE expires < now() - interval '1 hour'`)
	}
	for range 100 {
		add(t, log, "a")
	}
	if left := query[int](t, pool, `SELECT count(*) FROM `+table+` WHERE expires < now() - interval '1 hour'`); left > 0 {
		t.Errorf("%d expired entries stay", left)
	}
	for _, statistics := range []string{"as they were", "new"} { // the server chooses how to look by them
		after := cost(t, admin, pool, log, table)
		if after > 2*before {
			t.Errorf("10 appends look at %d entries, and at %d after %d were trimmed, with statistics %s", before, after, n, statistics)
		}
		t.Logf("10 appends look at %d entries, and at %d after %d were trimmed", before, after, n)
		run(t, admin, `ANALYZE `+table)
	}
}

// An entry that had expired long ago when it was added is deleted, too, although later ones were deleted before.
func TestAnEntryThatComesLateIsTrimmed(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	admin, table := s.pool(t), newTable()
	log := logOn(t, admin, table)
	expired(t, admin, table, 300)
	for range 110 {
		add(t, log, "a")
	}
	late := revocation("late")
	late.Expires = late.Expires.AddDate(0, 0, -1)
	must(t, "append", log.Append(t.Context(), late))
	for range 110 {
		add(t, log, "a")
	}
	if left := query[int](t, admin, `SELECT count(*) FROM `+table+` WHERE expires < now() - interval '1 hour'`); left > 0 {
		t.Errorf("%d expired entries stay", left)
	}
}
