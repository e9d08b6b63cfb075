//go:build unix

package pglog_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// appending appends in the background.
func appending(t testing.TB, log revlog.Log, name string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- log.Append(t.Context(), revocation(name)) }()
	return done
}

// isBlocking reports whether another connection waits for a lock of a connection.
func isBlocking(t testing.TB, pool *pgxpool.Pool, pid int) bool {
	return query[bool](t, pool, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1::int = ANY (pg_blocking_pids(pid)))`, pid)
}

// An append that has its id and is not committed yet is not overtaken by one that begins later:
// no reader reads past it.
func TestALateCommitIsNotSkipped(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	slow, fast, reader := openLog(t, s, table), openLog(t, s, table), openLog(t, s, table)
	appendTo(t, slow, "before")
	position := wantRest(t, reader, "", "before")
	// The slow append stops after its insert, until the test releases a lock.
	run(t, pool, `CREATE FUNCTION `+table+`_stop() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN IF NEW.entry LIKE '%slow%' THEN PERFORM pg_advisory_xact_lock(7, 7); END IF; RETURN NULL; END $$`)
	run(t, pool, `CREATE TRIGGER stop AFTER INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION `+table+`_stop()`)
	stop, err := pool.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = stop.Rollback(t.Context()) }() // no effect after the commit
	_, err = stop.Exec(t.Context(), `SELECT pg_advisory_xact_lock(7, 7)`)
	must(t, "lock", err)

	slowPID := 0
	slowDone := appending(t, slow, "slow")
	eventually(t, "the slow append does not stop", func() bool {
		slowPID = query[int](t, pool, `SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE 'INSERT INTO "' || $1 || '"%'`, table)
		return slowPID != 0
	})
	fastDone := appending(t, fast, "fast")
	eventually(t, "the fast append neither waits nor ends", func() bool { return len(fastDone) > 0 || isBlocking(t, pool, slowPID) })
	position = wantRest(t, reader, position) // before either is committed
	must(t, "release", stop.Commit(t.Context()))
	must(t, "slow append", <-slowDone)
	must(t, "fast append", <-fastDone)
	wantRest(t, reader, position, "slow", "fast")
}

// An insert without the lock cannot come behind a reader either, because of the primary key.
func TestAnInsertWithoutTheLockIsNotSkipped(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	log := openLog(t, s, table)
	appendTo(t, log, "before")
	position := wantRest(t, log, "", "before")
	byHand, err := pool.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = byHand.Rollback(t.Context()) }() // no effect after the commit
	entry, err := revocation("by hand").MarshalJSON()
	must(t, "marshal", err)
	_, err = byHand.Exec(t.Context(), `INSERT INTO `+table+` (id, entry) SELECT max(id) + 1, $1 FROM `+table, entry)
	must(t, "insert", err)
	done := appending(t, log, "fast")
	eventually(t, "the append does not wait", func() bool {
		return len(done) > 0 || isBlocking(t, pool, int(byHand.Conn().PgConn().PID()))
	})
	wantRest(t, log, position)
	must(t, "commit", byHand.Commit(t.Context()))
	if err := <-done; err == nil {
		t.Fatal("two entries with the same id")
	}
	appendTo(t, log, "again")
	wantRest(t, log, position, "by hand", "again")
}

func TestAPositionOfAReplacedTableIsTruncated(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	for _, tt := range []struct {
		name string
		sql  func(table string) string
		want []string
	}{
		{"emptied", func(table string) string { return `TRUNCATE ` + table }, []string{"x", "y", "z"}},
		{"created again", func(table string) string { return `DROP TABLE ` + table }, []string{"x", "y", "z"}},
		// Or a failover to a standby that had not received the last commits.
		{"restored from a backup", func(table string) string { return `DELETE FROM ` + table + ` WHERE id > 1` }, []string{"a", "x", "y", "z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pool, table := s.pool(t), newTable()
			log := logOn(t, pool, table)
			appendTo(t, log, "a", "b", "c")
			position := wantRest(t, log, "", "a", "b", "c")
			run(t, pool, tt.sql(table))
			must(t, "create schema", log.CreateSchema(t.Context()))
			wantTruncated(t, log, position) // the id is beyond the end
			appendTo(t, log, "x", "y", "z")
			wantTruncated(t, log, position) // the id is that of another entry
			wantRest(t, log, "", tt.want...)
		})
	}
}

func wantTruncated(t testing.TB, log revlog.Log, position string) {
	t.Helper()
	if revs, _, err := log.Read(t.Context(), position, 0); !errors.Is(err, revlog.ErrTruncated) || len(revs) > 0 {
		t.Errorf("position %q: got %v, %v", position, names(revs), err)
	}
}

func TestInvalidPositionsAreTruncated(t *testing.T) {
	t.Parallel()
	log := openLog(t, requireServer(t, shared), newTable())
	appendTo(t, log, "a", "b")
	position := wantRest(t, log, "", "a", "b")
	mark := position[1:]
	for _, bogus := range []string{
		"2", "2.", mark, "02" + mark, "+2" + mark, " 2" + mark, "0" + mark, "-2" + mark, "1" + mark, "3" + mark, position + ".", position + " ",
		"2.ffffffff-ffff-4fff-8fff-ffffffffffff", "9223372036854775808" + mark, "\x00", "2.\x00", "2." + "\xff",
	} {
		wantTruncated(t, log, bogus)
	}
	wantRest(t, log, position)
}

func TestAReadReturnsAtMostABatch(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	table := newTable()
	openLog(t, s, table)
	log, err := pglog.New(s.pool(t), pglog.Config{Table: table, Batch: 2})
	must(t, "new", err)
	appendTo(t, log, "a", "b", "c", "d", "e")
	position := ""
	for i, want := range []int{2, 2, 1, 0} {
		revs, next, err := log.Read(t.Context(), position, 0)
		must(t, "read", err)
		if len(revs) != want {
			t.Errorf("read %d: got %v", i, names(revs))
		}
		position = next
	}
	wantRest(t, log, "", "a", "b", "c", "d", "e")
}
