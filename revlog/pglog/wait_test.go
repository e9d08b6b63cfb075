//go:build unix

package pglog_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
)

// wantClean checks the connection of a pool of one: nobody has it, it does not listen, and it holds no notification.
func wantClean(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	// The pool lets go of a closed connection in the background.
	eventually(t, "a connection is in use", func() bool { return pool.Stat().AcquiredConns() == 0 })
	conn, err := pool.Acquire(t.Context())
	must(t, "acquire", err)
	defer conn.Release()
	var channels int
	must(t, "query", conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_listening_channels()`).Scan(&channels))
	if channels != 0 {
		t.Error("it still listens")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := conn.Conn().WaitForNotification(ended); err == nil {
		t.Errorf("it holds %v", n)
	}
}

func TestAReadLeavesACleanConnection(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	admin, table := s.pool(t), newTable()
	pool := s.pool(t, "pool_max_conns=1")
	log := logOn(t, pool, table)
	backend := func() int { return query[int](t, pool, `SELECT pg_backend_pid()`) }
	first := backend()

	// The time is over.
	began := time.Now()
	revs, position, err := log.Read(t.Context(), "", 50*time.Millisecond)
	if took := time.Since(began); err != nil || len(revs) > 0 || took < 50*time.Millisecond || took > patience/2 {
		t.Fatalf("got %v, %v after %v", names(revs), err, took)
	}
	wantClean(t, pool)

	// Woken.
	listening := func() bool {
		return query[bool](t, admin, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'idle' AND query NOT LIKE 'LISTEN%' AND query LIKE '%' || $2 || '%')`, first, table)
	}
	read := make(chan []string, 1)
	go func() {
		revs, _, err := log.Read(t.Context(), position, patience)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		read <- names(revs)
	}()
	eventually(t, "it does not wait", listening)
	tx, err := admin.Begin(t.Context())
	must(t, "begin", err)
	// Nobody has anything to say; and then several speak, of whom one is enough.
	for _, payload := range []string{"a", "b", "c"} {
		_, err := tx.Exec(t.Context(), `SELECT pg_notify('oauthz_' || $1::text::regclass::oid, $2)`, table, payload)
		must(t, "notify", err)
	}
	entry, err := revocation("a").MarshalJSON()
	must(t, "marshal", err)
	run(t, admin, `SELECT pg_notify('oauthz_' || $1::text::regclass::oid, 'nothing')`, table)
	_, err = tx.Exec(t.Context(), `INSERT INTO `+table+` (id, entry) VALUES (1, $1)`, entry)
	must(t, "insert", err)
	must(t, "commit", tx.Commit(t.Context()))
	if got := <-read; len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	wantClean(t, pool)
	if backend() != first {
		t.Error("the connection was not kept")
	}
}

func TestACancelledReadLeavesNoConnection(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	admin, table := s.pool(t), newTable()
	pool := s.pool(t, "pool_max_conns=1")
	log := logOn(t, pool, table)
	for range 5 {
		backend := query[int](t, pool, `SELECT pg_backend_pid()`)
		ctx, cancel := context.WithCancel(t.Context())
		read := make(chan error, 1)
		go func() {
			_, _, err := log.Read(ctx, "", time.Hour)
			read <- err
		}()
		eventually(t, "it does not read", func() bool { return pool.Stat().AcquiredConns() == 1 })
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		wantClean(t, pool)
		eventually(t, "the server still has the connection", func() bool {
			return !query[bool](t, admin, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active' OR pid = $1 AND query LIKE 'LISTEN%')`, backend)
		})
	}
	add(t, log, "a")
	wantRest(t, log, "", "a")
}

// What comes between the first look and the wait is not slept through; and without a notification, as through some poolers, it is
// returned when the wait is over.
func TestWhatComesBeforeTheWait(t *testing.T) {
	t.Parallel()
	s := require(t, shared)
	for _, tt := range []struct {
		name string
		wait time.Duration
		come func(writer revlog.Log, pool *pgxpool.Pool, table string) error
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
			hook := &afterRead{table: table, then: func() { must(t, "come", tt.come(writer, admin, table)) }}
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

// afterRead does something, once, after a query that reads the table.
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
