//go:build unix

package pglog_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// An entry that no list accepts is refused before anything is sent to the server.
func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	log, err := pglog.New(pool, pglog.Config{})
	must(t, "new", err)
	bad, late := revocation("a"), revocation("b")
	delete(bad.Match, "iss")
	late.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // RFC 3339 has four digits
	for _, rev := range []oauthz.Revocation{bad, late} {
		if err := log.Append(t.Context(), revocation("c"), rev); err == nil || !strings.HasPrefix(err.Error(), "pglog: append: entry 1: ") {
			t.Errorf("got %v", err)
		}
	}
}

// An append that the server does not acknowledge is an error, although the entry may be in the
// table.
func TestNoAcknowledgmentIsAnError(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	for _, tt := range []struct {
		name  string
		heard func(answer []byte) error
	}{
		{"the connection breaks", func([]byte) error { return io.ErrUnexpectedEOF }},
		{"the tag is not that of a commit", func(answer []byte) error {
			copy(answer[bytes.Index(answer, committed):], "REVERT")
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			table := newTable()
			other := openLog(t, s, table)
			cfg, err := pgxpool.ParseConfig(s.url)
			must(t, "config", err)
			dial := cfg.ConnConfig.DialFunc
			cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return brokenConn{conn, tt.heard}, err
			}
			pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
			must(t, "pool", err)
			t.Cleanup(pool.Close)
			log, err := pglog.New(pool, pglog.Config{Table: table})
			must(t, "new", err)
			if err := log.Append(t.Context(), revocation("a")); err == nil {
				t.Error("Append returned nil without an acknowledgment")
			}
			eventually(t, "the entry was not committed", func() bool {
				revs, _, err := other.Read(t.Context(), "", 0)
				return err == nil && len(revs) == 1
			})
		})
	}
}

// brokenConn is a connection that calls a function when the server acknowledges a commit.
type brokenConn struct {
	net.Conn
	heard func(answer []byte) error
}

var committed = []byte("COMMIT\x00")

func (c brokenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !bytes.Contains(b[:n], committed) {
		return n, err
	}
	if err := c.heard(b[:n]); err != nil {
		_ = c.Close() // the connection breaks
		return 0, err
	}
	return n, err
}

// No setting of the database or of the pool weakens an append.
func TestSettingsOfTheDatabaseWeakenNothing(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool := s.pool(t)
	for _, tt := range []struct{ name, option, setting, want string }{
		{"not durable", "synchronous_commit=off", "synchronous_commit", "on"},
		{"durable here", "synchronous_commit=local", "synchronous_commit", "local"},
		{"durable and applied", "synchronous_commit=remote_apply", "synchronous_commit", "remote_apply"},
		{"serializable", "default_transaction_isolation=serializable", "transaction_isolation", "read committed"},
		{"read only", "default_transaction_read_only=on", "transaction_read_only", "off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			table := newTable()
			logOn(t, pool, table)
			run(t, pool, `CREATE FUNCTION `+table+`_note() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN NEW.entry = convert_to(current_setting('`+tt.setting+`'), 'UTF8'); RETURN NEW; END $$`)
			run(t, pool, `CREATE TRIGGER note BEFORE INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION `+table+`_note()`)
			appendTo(t, openLog(t, s, table, tt.option), "a")
			if got := query[string](t, pool, `SELECT convert_from(entry, 'UTF8') FROM `+table+` WHERE id = 1`); got != tt.want {
				t.Errorf("got %s = %s, want %s", tt.setting, got, tt.want)
			}
		})
	}
}

func TestEveryQueryModeOfPgx(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			log := openLog(t, s, newTable(), "default_query_exec_mode="+mode)
			never := revocation("a \x00 ' \\")
			never.Expires = time.Time{}
			must(t, "append", log.Append(t.Context(), never, revocation("b")))
			position := wantRest(t, log, "", "a \x00 ' \\", "b")
			done := appending(t, log, "c")
			revs, _, err := log.Read(t.Context(), position, patience)
			if err != nil || len(revs) != 1 {
				t.Errorf("got %v, %v", names(revs), err)
			}
			must(t, "append", <-done)
		})
	}
}
