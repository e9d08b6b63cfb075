//go:build unix

package pglog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
)

// blockCommits keeps appends from committing, until free is called. blocking reports whether an
// append waits.
func blockCommits(t testing.TB, pool *pgxpool.Pool, table string) (blocking func() bool, free func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	must(t, "begin", err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // no effect after free
	_, err = tx.Exec(t.Context(), `LOCK TABLE `+table+` IN SHARE ROW EXCLUSIVE MODE`)
	must(t, "lock", err)
	pid := int(tx.Conn().PgConn().PID())
	return func() bool { return isBlocking(t, pool, pid) }, func() { must(t, "release", tx.Rollback(context.Background())) }
}

// appendTogether starts an append, n more while it cannot commit, and then lets all of them
// commit.
func appendTogether(t testing.TB, pool *pgxpool.Pool, log revlog.Log, table string, n int) (errs []error) {
	t.Helper()
	blocking, free := blockCommits(t, pool, table)
	results := []<-chan error{appending(t, log, "first")}
	eventually(t, "the append does not wait", blocking)
	for i := range n {
		results = append(results, appending(t, log, fmt.Sprint(i)))
	}
	free()
	for _, done := range results {
		errs = append(errs, <-done)
	}
	return errs
}

// Appends that arrive during a commit are committed together, not one by one.
func TestAppendsShareACommit(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	log := openLog(t, s, table, "pool_max_conns=64")
	const n = 64
	for _, err := range appendTogether(t, pool, log, table, n) {
		must(t, "append", err)
	}
	// The scheduler decides how many of them arrive after the first batch was taken.
	if commits := query[int](t, pool, `SELECT count(DISTINCT xmin::text) FROM `+table+` WHERE id > 0`); commits > n/4 {
		t.Errorf("%d transactions for %d appends", commits, n+1)
	}
	revs, _, err := log.Read(t.Context(), "", 0)
	must(t, "read", err)
	if got := names(revs); len(got) != n+1 || got[0] != "first" {
		t.Errorf("got %d entries, first %v", len(got), got[0])
	}
}

// Every caller receives the error of the shared transaction.
func TestEachCallerGetsTheErrorOfTheCommit(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	log := openLog(t, s, table)
	run(t, pool, `CREATE FUNCTION `+table+`_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'canary refusal'; END $$`)
	run(t, pool, `CREATE TRIGGER fail BEFORE INSERT ON `+table+` FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION `+table+`_fail()`)
	for i, err := range appendTogether(t, pool, log, table, 8) {
		if err == nil || !strings.HasPrefix(err.Error(), "pglog: append: ") || !strings.Contains(err.Error(), "canary refusal") {
			t.Errorf("append %d: got %v", i, err)
		}
	}
	run(t, pool, `DROP TRIGGER fail ON `+table)
	appendTo(t, log, "after")
}

// stopInserts makes each transaction stop that inserts an entry whose JSON contains text, until release
// is called. stopped reports whether a transaction has stopped.
func stopInserts(t testing.TB, pool *pgxpool.Pool, table, text string) (stopped func() bool, release func()) {
	t.Helper()
	oid := query[int](t, pool, `SELECT $1::text::regclass::oid::int4`, table)
	run(t, pool, fmt.Sprintf(`CREATE FUNCTION %s_stop() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN IF NEW.entry LIKE '%%%s%%' THEN PERFORM pg_advisory_xact_lock(8, %d); END IF; RETURN NULL; END $$`, table, text, oid))
	run(t, pool, `CREATE TRIGGER stop AFTER INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION `+table+`_stop()`)
	tx, err := pool.Begin(t.Context())
	must(t, "begin", err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // no effect after release
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(8, $1)`, oid)
	must(t, "lock", err)
	pid := int(tx.Conn().PgConn().PID())
	return func() bool { return isBlocking(t, pool, pid) }, func() { must(t, "release", tx.Rollback(t.Context())) }
}

// Callers that give up return at once, and fail no other call of the same transaction.
func TestACallerThatGivesUpFailsNoOther(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	log := openLog(t, s, table)
	stopped, release := stopInserts(t, pool, table, "lost")
	blocking, free := blockCommits(t, pool, table)
	results := []<-chan error{appending(t, log, "first")}
	eventually(t, "the append does not wait", blocking)
	const n = 8
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	lost := make(chan error, n)
	for i := range n {
		go func() { lost <- log.Append(ctx, revocation("lost")) }()
		results = append(results, appending(t, log, fmt.Sprint(i)))
	}
	free()
	eventually(t, "the transaction does not stop", stopped)
	giveUp()
	for range n {
		if err := <-lost; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	release()
	for _, done := range results {
		must(t, "append", <-done)
	}
	revs, _, err := log.Read(t.Context(), "", 0)
	must(t, "read", err)
	got := slices.DeleteFunc(names(revs), func(name string) bool { return name == "lost" }) // they may be in the log
	slices.Sort(got)
	if want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "first"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A panic of a hook is an error of the calls, and does not end the process.
func TestAPanicOfAHookIsAnError(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	table := newTable()
	openLog(t, s, table)
	cfg, err := pgxpool.ParseConfig(s.url)
	must(t, "config", err)
	cfg.ConnConfig.Tracer = panickyTracer{}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	log := newLog(t, pool, table)
	for range 2 {
		if err := log.Append(t.Context(), revocation("a")); err == nil || !strings.Contains(err.Error(), "panic of type string") || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	}
}

type panickyTracer struct{}

func (panickyTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (panickyTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (panickyTracer) TraceBatchStart(context.Context, *pgx.Conn, pgx.TraceBatchStartData) context.Context {
	panic("canary")
}
func (panickyTracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (panickyTracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
