//go:build unix

package pglog_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
)

// countedReads is a tracer that counts the queries that read a table.
type countedReads struct {
	table string
	n     atomic.Int64
}

func (c *countedReads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(query.SQL, "SELECT id, mark") && strings.Contains(query.SQL, c.table) {
		c.n.Add(1)
	}
	return ctx
}

func (c *countedReads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// tracedLog opens a log, and returns it with the number of its reads.
func tracedLog(t testing.TB, s *server, table string) (revlog.Log, *atomic.Int64) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(s.url)
	must(t, "config", err)
	counted := &countedReads{table: table}
	cfg.ConnConfig.Tracer = counted
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	return newLog(t, pool, table), &counted.n
}

// flood sends notifications to the channel of a table as fast as a login without rights can. sent is
// their number. stop ends the flood, and returns when it has ended.
func flood(ctx context.Context, t testing.TB, s *server, admin *pgxpool.Pool, table string) (sent *atomic.Int64, stop func()) {
	t.Helper()
	stranger := poolOfRole(t, s, admin, "stranger", table, "")
	oid := query[uint32](t, admin, `SELECT $1::text::regclass::oid`, table)
	ctx, cancel := context.WithCancel(ctx)
	sent = new(atomic.Int64)
	var senders sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for ctx.Err() == nil {
				// Notifications of one transaction must differ, or only one is sent.
				_, err := stranger.Exec(ctx, `SELECT pg_notify('oauthz_' || $1::oid, n || repeat('x', 7000)) FROM generate_series(1, 100) AS n`, oid)
				if err == nil {
					sent.Add(100)
				}
			}
		})
	}
	eventually(t, "there are no notifications", func() bool { return sent.Load() > 0 })
	return sent, func() { cancel(); senders.Wait() }
}

// NOTIFY needs no right. The notifications of another login neither keep a Read from ending with its
// wait, nor cause one query each, nor hide an entry.
func TestAFloodOfNotificationsBlocksNoRead(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	writer := logOn(t, admin, table)
	log, reads := tracedLog(t, s, table)
	_, position, err := log.Read(t.Context(), "", 0)
	must(t, "read", err)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // ends the flood even if a Read does not return
	defer cancel()
	sent, stop := flood(ctx, t, s, admin, table)
	defer stop()
	began, before := time.Now(), reads.Load()
	for range 5 {
		_, position, err = log.Read(t.Context(), position, 300*time.Millisecond)
		must(t, "read", err)
	}
	took := time.Since(began)
	if took > 10*time.Second {
		t.Errorf("five Reads that wait for 300 ms took %v", took)
	}
	if got, most := reads.Load()-before, 40+int64(took/(20*time.Millisecond)); got > most {
		t.Errorf("%d reads in %v", got, took)
	}
	done := appending(t, writer, "a")
	for revs := []string(nil); len(revs) == 0 && ctx.Err() == nil; {
		read, next, err := log.Read(t.Context(), position, time.Second)
		must(t, "read", err)
		revs, position = names(read), next
	}
	must(t, "append", <-done)
	if ctx.Err() != nil {
		t.Error("the entry was not read during the flood")
	}
	t.Logf("%d notifications, %d reads in %v", sent.Load(), reads.Load()-before, took)
}

// Under load one query returns the entries of many notifications.
func TestOneReadServesManyNotifications(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	table := newTable()
	writer := openLog(t, s, table)
	log, reads := tracedLog(t, s, table)
	const n = 300
	done := make(chan error, 1)
	go func() {
		for range n {
			if err := writer.Append(t.Context(), revocation("a")); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	began, position := time.Now(), ""
	for seen := 0; seen < n; {
		revs, next, err := log.Read(t.Context(), position, patience)
		must(t, "read", err)
		seen, position = seen+len(revs), next
	}
	must(t, "append", <-done)
	took := time.Since(began)
	if got, most := reads.Load(), 40+int64(took/(20*time.Millisecond)); got > most {
		t.Errorf("%d reads of %d entries in %v", got, n, took)
	}
	t.Logf("%d reads of %d entries in %v", reads.Load(), n, took)
}
