//go:build unix

package pglog_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

var tables atomic.Int64

// newTable returns the name of a table that no other test uses.
func newTable() string { return fmt.Sprintf("revocations_%d", tables.Add(1)) }

// openLog opens a log with a pool of its own, and creates the table if it is missing.
func openLog(t testing.TB, s *server, table string, options ...string) *pglog.Log {
	t.Helper()
	return logOn(t, s.pool(t, options...), table)
}

func logOn(t testing.TB, pool *pgxpool.Pool, table string) *pglog.Log {
	t.Helper()
	log := newLog(t, pool, table)
	must(t, "create schema", log.CreateSchema(t.Context()))
	return log
}

// newLog opens a log without a connection to the server.
func newLog(t testing.TB, pool *pgxpool.Pool, table string) *pglog.Log {
	t.Helper()
	log, err := pglog.New(pool, pglog.Config{Table: table})
	must(t, "new", err)
	return log
}

func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

func run(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql, args...)
	must(t, sql, err)
}

func query[T any](t testing.TB, pool *pgxpool.Pool, sql string, args ...any) (value T) {
	t.Helper()
	must(t, sql, pool.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// revocation returns a revocation that differs from others only by its name.
func revocation(name string) oauthz.Revocation {
	return oauthz.Revocation{Match: map[string]any{"iss": "https://login.example.com", "jti": name}, Expires: time.Now().Add(time.Hour)}
}

func appendTo(t testing.TB, log revlog.Log, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, "append", log.Append(t.Context(), revocation(name)))
	}
}

func names(revs []oauthz.Revocation) []string {
	var names []string
	for _, rev := range revs {
		names = append(names, fmt.Sprint(rev.Match["jti"]))
	}
	return names
}

// wantRest reads from a position until there are no more entries, and compares them.
func wantRest(t testing.TB, log revlog.Log, position string, want ...string) (next string) {
	t.Helper()
	var got []string
	for {
		revs, next, err := log.Read(t.Context(), position, 0)
		must(t, "read", err)
		if len(revs) == 0 {
			if !slices.Equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			return next
		}
		if next == position {
			t.Fatal("entries without a new position")
		}
		got, position = append(got, names(revs)...), next
	}
}

// eventually waits until check returns true, and otherwise fails with a message.
func eventually(t testing.TB, message string, check func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !check() {
		select {
		case <-ctx.Done():
			t.Fatal(message)
		case <-tick.C:
		}
	}
}
