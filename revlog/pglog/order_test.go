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

// blocks says whether anybody waits for what a connection holds.
func blocks(t testing.TB, pool *pgxpool.Pool, pid int) bool {
	return query[bool](t, pool, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1::int = ANY (pg_blocking_pids(pid)))`, pid)
}

// An append that has its id and does not commit is not overtaken by one that begins later: nobody reads past it.
func TestALateCommitIsNotSkipped(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	pool, table := s.pool(t), newTable()
	slow, fast, reader := openLog(t, s, table), openLog(t, s, table), openLog(t, s, table)
	add(t, slow, "before")
	position := wantRest(t, reader, "", "before")
	// The first of them stops after its insert, until the test lets go of a lock.
	run(t, pool, `CREATE FUNCTION `+table+`_stop() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN IF NEW.entry LIKE '%slow%' THEN PERFORM pg_advisory_xact_lock(7, 7); END IF; RETURN NULL; END $$`)
	run(t, pool, `CREATE TRIGGER stop AFTER INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION `+table+`_stop()`)
	stop, err := pool.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = stop.Rollback(t.Context()) }() // nothing, if it was committed
	_, err = stop.Exec(t.Context(), `SELECT pg_advisory_xact_lock(7, 7)`)
	must(t, "lock", err)

	slowPID := 0
	slowDone := appending(t, slow, "slow")
	eventually(t, "the slow append does not stop", func() bool {
		slowPID = query[int](t, pool, `SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE 'INSERT INTO "' || $1 || '"%'`, table)
		return slowPID != 0
	})
	fastDone := appending(t, fast, "fast")
	eventually(t, "the fast append neither waits nor ends", func() bool { return len(fastDone) > 0 || blocks(t, pool, slowPID) })
	position = wantRest(t, reader, position) // before either is committed
	must(t, "let go", stop.Commit(t.Context()))
	must(t, "slow append", <-slowDone)
	must(t, "fast append", <-fastDone)
	wantRest(t, reader, position, "slow", "fast")
}

// Somebody who inserts without the lock cannot come behind a reader either: the primary key sees to it.
func TestAnInsertWithoutTheLockIsNotSkipped(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	pool, table := s.pool(t), newTable()
	log := openLog(t, s, table)
	add(t, log, "before")
	position := wantRest(t, log, "", "before")
	byHand, err := pool.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = byHand.Rollback(t.Context()) }() // nothing, if it was committed
	entry, err := revocation("by hand").MarshalJSON()
	must(t, "marshal", err)
	_, err = byHand.Exec(t.Context(), `INSERT INTO `+table+` (id, entry) SELECT max(id) + 1, $1 FROM `+table, entry)
	must(t, "insert", err)
	done := appending(t, log, "fast")
	eventually(t, "the append does not wait", func() bool {
		return len(done) > 0 || blocks(t, pool, int(byHand.Conn().PgConn().PID()))
	})
	wantRest(t, log, position)
	must(t, "commit", byHand.Commit(t.Context()))
	if err := <-done; err == nil {
		t.Fatal("two entries with the same id")
	}
	add(t, log, "again")
	wantRest(t, log, position, "by hand", "again")
}

func TestAnotherTableAtTheSameName(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	for _, tt := range []struct {
		name string
		sql  func(table string) string
		want []string
	}{
		{"emptied", func(table string) string { return `TRUNCATE ` + table }, []string{"x", "y", "z"}},
		{"made anew", func(table string) string { return `DROP TABLE ` + table }, []string{"x", "y", "z"}},
		// A backup, or a standby that had not received the last commits.
		{"set back", func(table string) string { return `DELETE FROM ` + table + ` WHERE id > 1` }, []string{"a", "x", "y", "z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pool, table := s.pool(t), newTable()
			log := logOn(t, pool, table)
			add(t, log, "a", "b", "c")
			position := wantRest(t, log, "", "a", "b", "c")
			run(t, pool, tt.sql(table))
			must(t, "create schema", log.CreateSchema(t.Context()))
			wantTruncated(t, log, position) // it is beyond the end
			add(t, log, "x", "y", "z")
			wantTruncated(t, log, position) // it is an id again
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

func TestPositions(t *testing.T) {
	t.Parallel()
	log := openLog(t, require(t, shared), newTable())
	add(t, log, "a", "b")
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

func TestBatch(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	table := newTable()
	openLog(t, s, table)
	log, err := pglog.New(s.pool(t), pglog.Config{Table: table, Batch: 2})
	must(t, "new", err)
	add(t, log, "a", "b", "c", "d", "e")
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
