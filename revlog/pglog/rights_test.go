//go:build unix

package pglog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// poolOfRole returns a pool of a login that has been granted rights ("" for none) on the table.
func poolOfRole(t testing.TB, s *server, admin *pgxpool.Pool, name, table, rights string) *pgxpool.Pool {
	t.Helper()
	role := name + "_" + table
	run(t, admin, `CREATE ROLE `+role+` LOGIN PASSWORD '`+password+`'`)
	if rights != "" {
		run(t, admin, `GRANT `+rights+` ON `+table+` TO `+role)
	}
	pool, err := pgxpool.New(context.Background(), strings.Replace(s.url, "//app:", "//"+role+":", 1))
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	return pool
}

const (
	writerRights = "SELECT, INSERT, DELETE, UPDATE (mark)" // as in the package comment
	readerRights = "SELECT"
)

func TestTheRightsOfWritersAndReaders(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	open := func(name, rights string) *pglog.Log {
		log, err := pglog.New(poolOfRole(t, s, admin, name, table, rights), pglog.Config{Table: table})
		must(t, "new", err)
		return log
	}
	writer, reader, stranger := open("writer", writerRights), open("reader", readerRights), open("stranger", "")
	must(t, "create schema", writer.CreateSchema(t.Context()))
	expired := revocation("expired")
	expired.Expires = time.Now().Add(-2 * time.Hour)
	must(t, "append", writer.Append(t.Context(), expired))
	for range 101 {
		appendTo(t, writer, "a")
	}
	if n := query[int](t, admin, `SELECT count(*) FROM `+table+` WHERE id > 0`); n != 101 {
		t.Errorf("%d entries: the writer does not trim", n)
	}
	_, position, err := reader.Read(t.Context(), "", 0)
	must(t, "read", err)
	read := startRead(t, reader, position)
	appendTo(t, writer, "b")
	if got := <-read; len(got) != 1 {
		t.Errorf("the reader got %v", got)
	}
	for name, log := range map[string]revlog.Log{"reader": reader, "stranger": stranger} {
		if err := log.Append(t.Context(), revocation("c")); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: append: %v", name, err)
		}
	}
	if _, _, err := stranger.Read(t.Context(), "", 0); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("stranger: read: %v", err)
	}
}

// lockStatements returns statements that take, or try to take, every kind of lock. $1 is the oid of the
// table.
func lockStatements(table string) []string {
	return []string{
		`SELECT pg_advisory_lock(1868658042, $1::oid::int4)`,
		`SELECT pg_advisory_lock_shared(1868658042, $1::oid::int4)`,
		`LOCK TABLE ` + table + ` IN ACCESS SHARE MODE`, `LOCK TABLE ` + table + ` IN ROW SHARE MODE`,
		`LOCK TABLE ` + table + ` IN ROW EXCLUSIVE MODE`, `LOCK TABLE ` + table + ` IN SHARE UPDATE EXCLUSIVE MODE`,
		`LOCK TABLE ` + table + ` IN SHARE MODE`, `LOCK TABLE ` + table + ` IN SHARE ROW EXCLUSIVE MODE`,
		`LOCK TABLE ` + table + ` IN EXCLUSIVE MODE`, `LOCK TABLE ` + table + ` IN ACCESS EXCLUSIVE MODE`,
		`SELECT FROM ` + table + ` FOR KEY SHARE`, `SELECT FROM ` + table + ` FOR SHARE`,
		`SELECT FROM ` + table + ` FOR NO KEY UPDATE`, `SELECT FROM ` + table + ` FOR UPDATE`,
		`SELECT FROM ` + table + ` FOR UPDATE SKIP LOCKED`, `SELECT FROM ` + table, `LISTEN oauthz`,
	}
}

// A login without the right to write may hold any lock that it can take: no append waits for it.
func TestOnlyWritersCanBlockAppends(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	for _, tt := range []struct{ name, rights string }{{"stranger", ""}, {"reader", readerRights}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			admin, table := s.pool(t), newTable()
			log := logOn(t, admin, table)
			appendTo(t, log, "before")
			pool := poolOfRole(t, s, admin, tt.name, table, tt.rights)
			oid := query[uint32](t, admin, `SELECT $1::text::regclass::oid`, table)
			locks := 0
			for _, sql := range lockStatements(table) {
				if appendDuring(t, log, pool, sql, oid) {
					locks++
				}
			}
			if locks < 3 {
				t.Errorf("only %d locks were tried", locks)
			}
		})
	}
}

// appendDuring runs a statement in a transaction and appends before the transaction ends. It reports
// whether the statement succeeded.
func appendDuring(t testing.TB, log revlog.Log, pool *pgxpool.Pool, sql string, oid uint32) bool {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = tx.Rollback(context.Background()) }() // no effect after the one below
	var args []any
	if strings.Contains(sql, "$1") {
		args = append(args, oid)
	}
	_, failed := tx.Exec(t.Context(), sql, args...)
	if failed == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := log.Append(ctx, revocation("a")); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	must(t, "rollback", tx.Rollback(t.Context()))
	run(t, pool, `SELECT pg_advisory_unlock_all()`)
	return failed == nil
}

// A writer that does not commit blocks the others for a limited time, and their error names the
// cause.
func TestAHeldLockIsAnError(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	log := logOn(t, admin, table)
	appendTo(t, log, "before")
	tx, err := admin.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `SELECT FROM `+table+` WHERE id = 0 FOR UPDATE`)
	must(t, "lock", err)
	began := time.Now()
	err = log.Append(t.Context(), revocation("a"))
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "another writer has locked the table for more than 3 seconds") || took > patience/2 {
		t.Errorf("got %v after %v", err, took)
	}
	must(t, "rollback", tx.Rollback(t.Context()))
	appendTo(t, log, "b")
	wantRest(t, log, "", "before", "b")
}

func TestCreateSchemaWaitsForNoOtherRole(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	tx, err := admin.Begin(t.Context())
	must(t, "begin", err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	// Earlier versions waited for this lock. Only this test takes it.
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1868658042, 0)`)
	must(t, "lock", err)
	log, err := pglog.New(s.pool(t), pglog.Config{Table: table})
	must(t, "new", err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, "create schema", log.CreateSchema(ctx))
}

// Any login can fill the queue of notifications, and then NOTIFY fails. The commit is
// acknowledged nevertheless.
func TestAFailedNotificationFailsNoAppend(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	logOn(t, pool, table)
	run(t, pool, `CREATE SCHEMA full_`+table)
	run(t, pool, `CREATE FUNCTION full_`+table+`.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
		$$ BEGIN RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000'; END $$`)
	log := openLog(t, s, table, "search_path=full_"+table+",pg_catalog,public")
	appendTo(t, log, "a", "b")
	wantRest(t, log, "", "a", "b")
}
