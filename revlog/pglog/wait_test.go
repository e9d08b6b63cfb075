//go:build unix

package pglog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// backends returns the processes of the server that serve an application.
func backends(t testing.TB, admin *pgxpool.Pool, application string) []int {
	t.Helper()
	return query[[]int](t, admin, `SELECT coalesce(array_agg(pid ORDER BY pid), '{}') FROM pg_stat_activity WHERE application_name = $1`, application)
}

// openNamedLog opens a log on a table that exists. The application_name of its connections is
// the name of the table.
func openNamedLog(t testing.TB, s *server, table string) *pglog.Log {
	t.Helper()
	log, err := pglog.New(s.pool(t, "application_name="+table), pglog.Config{Table: table})
	must(t, "new", err)
	return log
}

// startRead reads in the background.
func startRead(t testing.TB, log revlog.Log, position string) <-chan []string {
	read := make(chan []string, 1)
	go func() {
		revs, _, err := log.Read(t.Context(), position, patience)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		read <- names(revs)
	}()
	return read
}

// Successive Reads share one connection outside the pool, which is closed when no Read follows.
func TestReadsKeepOneConnection(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	log := openNamedLog(t, s, table)
	began := time.Now()
	revs, position, err := log.Read(t.Context(), "", 50*time.Millisecond)
	if took := time.Since(began); err != nil || len(revs) > 0 || took < 50*time.Millisecond || took > patience/2 {
		t.Fatalf("got %v, %v after %v", names(revs), err, took)
	}
	first := backends(t, admin, table)
	if len(first) != 1 {
		t.Fatalf("%d connections", len(first))
	}
	read := startRead(t, log, position)
	channel := query[string](t, admin, `SELECT 'oauthz_' || $1::text::regclass::oid`, table)
	for range 3 { // a notification without an entry does not end the Read
		run(t, admin, `SELECT pg_notify($1, 'nothing')`, channel)
	}
	tx, err := admin.Begin(t.Context())
	must(t, "begin", err)
	for _, payload := range []string{"a", "b", "c"} { // several notifications of one entry
		_, err := tx.Exec(t.Context(), `SELECT pg_notify($1, $2)`, channel, payload)
		must(t, "notify", err)
	}
	entry, err := revocation("a").MarshalJSON()
	must(t, "marshal", err)
	_, err = tx.Exec(t.Context(), `INSERT INTO `+table+` (id, entry) VALUES (1, $1)`, entry)
	must(t, "insert", err)
	must(t, "commit", tx.Commit(t.Context()))
	if got := <-read; len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	if got := backends(t, admin, table); !slices.Equal(got, first) {
		t.Errorf("got connections %v, want %v", got, first)
	}
	eventually(t, "the connection stays open", func() bool { return len(backends(t, admin, table)) == 0 })
	wantRest(t, log, "", "a")
}

func TestACancelledReadLeavesNoConnection(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	log := openNamedLog(t, s, table)
	began := time.Now()
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		read := make(chan error, 1)
		go func() {
			_, _, err := log.Read(ctx, "", time.Hour)
			read <- err
		}()
		eventually(t, "the Read does not wait", func() bool {
			return query[bool](t, admin, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle' AND query LIKE 'SELECT id, mark%')`, table)
		})
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		eventually(t, "the server still has the connection", func() bool { return len(backends(t, admin, table)) == 0 })
	}
	if took := time.Since(began); took > 20*time.Second { // an idle connection stays open for five seconds
		t.Errorf("five took %v", took)
	}
	appendTo(t, log, "a")
	wantRest(t, log, "", "a")
}

// An entry that is appended between the first read and the wait ends the wait. Without a
// notification, as through some poolers, it is returned when the wait ends.
func TestAnEntryAppendedBeforeTheWaitIsRead(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	for _, tt := range []struct {
		name string
		wait time.Duration
		add  func(writer revlog.Log, pool *pgxpool.Pool, table string) error
	}{
		{"with a notification", patience, func(writer revlog.Log, _ *pgxpool.Pool, _ string) error {
			return writer.Append(context.Background(), revocation("a"))
		}},
		{"without", 200 * time.Millisecond, func(_ revlog.Log, pool *pgxpool.Pool, table string) error {
			entry, err := revocation("a").MarshalJSON()
			if err == nil {
				_, err = pool.Exec(context.Background(), `INSERT INTO `+table+` (id, entry) VALUES (1, $1)`, entry)
			}
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			admin, table := s.pool(t), newTable()
			writer := logOn(t, admin, table)
			cfg, err := pgxpool.ParseConfig(s.url)
			must(t, "config", err)
			hook := &afterRead{table: table, then: func() { must(t, "append", tt.add(writer, admin, table)) }}
			cfg.ConnConfig.Tracer = hook
			pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
			must(t, "pool", err)
			t.Cleanup(pool.Close)
			log := logOn(t, pool, table)
			began := time.Now()
			revs, _, err := log.Read(t.Context(), "", tt.wait)
			if took := time.Since(began); err != nil || len(revs) != 1 || took > patience/2 {
				t.Fatalf("got %v, %v after %v", names(revs), err, took)
			}
		})
	}
}

// afterRead is a tracer that calls a function once, after a query that reads the table.
type afterRead struct {
	table string
	reads bool
	then  func()
}

func (h *afterRead) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	h.reads = strings.HasPrefix(query.SQL, "SELECT") && strings.Contains(query.SQL, h.table)
	return ctx
}

func (h *afterRead) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	if h.reads && h.then != nil {
		h.then()
		h.then = nil
	}
}
