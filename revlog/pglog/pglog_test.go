//go:build unix

package pglog_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

func TestNewReportsEveryMistake(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	long := strings.Repeat("x", 64)
	for _, tt := range []struct {
		name string
		pool *pgxpool.Pool
		cfg  pglog.Config
		want []string
	}{
		{"no pool", nil, pglog.Config{}, []string{"the pool is nil"}},
		{"three names", pool, pglog.Config{Table: "a.b.c"}, []string{"more than one dot"}},
		{"no schema", pool, pglog.Config{Table: ".a"}, []string{"1 to 63 bytes"}},
		{"no table", pool, pglog.Config{Table: "a."}, []string{"1 to 63 bytes"}},
		{"a long name", pool, pglog.Config{Table: long}, []string{"1 to 63 bytes"}},
		{"a NUL", pool, pglog.Config{Table: "a\x00b"}, []string{"1 to 63 bytes"}},
		{"no UTF-8", pool, pglog.Config{Table: "a\xff"}, []string{"1 to 63 bytes"}},
		{"a negative batch", pool, pglog.Config{Batch: -1}, []string{"Batch"}},
		{"a huge batch", pool, pglog.Config{Batch: 100_001}, []string{"Batch"}},
		{"all", nil, pglog.Config{Table: "a.b.c", Batch: -1}, []string{"the pool is nil", "more than one dot", "Batch"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log, err := pglog.New(tt.pool, tt.cfg)
			if log != nil || err == nil {
				t.Fatalf("got %v, %v", log, err)
			}
			for i, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "pglog: config: ") || i >= len(tt.want) || !strings.Contains(line, tt.want[i]) {
					t.Errorf("got %q", line)
				}
			}
		})
	}
}

func TestAnyTableNameWorks(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool := s.pool(t)
	for _, table := range []string{`Auth "z".Revocations`, `select`, `Ünicode "quoted"; DROP TABLE x; --`, `$1 'it''s' {table} %`, strings.Repeat("y", 63)} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			run(t, pool, `CREATE SCHEMA IF NOT EXISTS "Auth ""z"""`)
			run(t, pool, `DROP TABLE IF EXISTS `+pgx.Identifier(strings.Split(table, ".")).Sanitize()) // for -count 2
			log := openLog(t, s, table)
			appendTo(t, log, "a")
			position := wantRest(t, log, "", "a")
			done := appending(t, log, "b")
			revs, _, err := log.Read(t.Context(), position, patience)
			if err != nil || len(revs) != 1 {
				t.Errorf("got %v, %v", names(revs), err)
			}
			must(t, "append", <-done)
		})
	}
}

// An append under one name of a table wakes a reader under another name.
func TestTwoNamesOfATableShareAChannel(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	table := newTable()
	log, same := openLog(t, s, table), openLog(t, s, "public."+table)
	read := make(chan error, 1)
	go func() {
		revs, _, err := log.Read(t.Context(), "", patience)
		if len(revs) == 0 {
			err = errors.Join(err, errors.New("no entries"))
		}
		read <- err
	}()
	began := time.Now()
	appendTo(t, same, "a")
	must(t, "read", <-read)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("woken after %v", took)
	}
}

func TestConcurrentCreateSchema(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	table := newTable()
	var wg sync.WaitGroup
	for range 8 {
		log, err := pglog.New(s.pool(t), pglog.Config{Table: table})
		must(t, "new", err)
		wg.Go(func() {
			if err := log.CreateSchema(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	appendTo(t, openLog(t, s, table), "a")
}

// A migration may create the table instead, and the application may have no right to create it.
func TestAMigrationMayCreateTheTable(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	role := "role_" + table
	log, err := pglog.New(s.pool(t, "options=-c%20role%3D"+role), pglog.Config{Table: table})
	must(t, "new", err)
	run(t, admin, `CREATE ROLE `+role)
	if err := log.CreateSchema(t.Context()); err == nil {
		t.Fatal("a table was created without the right to")
	}
	run(t, admin, log.Schema())
	run(t, admin, `GRANT SELECT, INSERT, DELETE, UPDATE (mark) ON `+table+` TO `+role)
	must(t, "create schema", log.CreateSchema(t.Context()))
	appendTo(t, log, "a", "b")
	wantRest(t, log, "", "a", "b")
}

// A table that was created without the row 0 works after it was altered as the package comment
// describes.
func TestAnAlteredOlderTableWorks(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	log := newLog(t, admin, table)
	run(t, admin, strings.Replace(log.Schema(), "id >= 0", "id > 0", 1))
	entry, err := revocation("old").MarshalJSON()
	must(t, "marshal", err)
	run(t, admin, `INSERT INTO `+table+` (id, entry) VALUES (1, $1)`, entry)
	if err := log.Append(t.Context(), revocation("a")); err == nil || !strings.Contains(err.Error(), table+"_id_check") {
		t.Fatalf("got %v", err)
	}
	run(t, admin, `ALTER TABLE `+table+` DROP CONSTRAINT `+table+`_id_check, ADD CHECK (id >= 0)`)
	appendTo(t, log, "b")
	wantRest(t, log, "", "old", "b")
}

func TestOnlyEntriesExpiredForAnHourAreDeleted(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	log := logOn(t, pool, table)
	var want []string
	for _, tt := range []struct {
		name    string
		expires time.Time
		kept    bool
	}{
		{"expired for more than an hour", time.Now().Add(-time.Hour - time.Minute), false},
		{"expired for less", time.Now().Add(-time.Hour + time.Minute), true},
		{"not expired", time.Now().Add(time.Minute), true},
		{"never", time.Time{}, true},
	} {
		rev := revocation(tt.name)
		rev.Expires = tt.expires
		must(t, "append", log.Append(t.Context(), rev, rev))
		if tt.kept {
			want = append(want, tt.name, tt.name)
		}
	}
	first, begin, err := log.Read(t.Context(), "", 0)
	must(t, "read", err)
	if len(first) != 8 {
		t.Fatalf("got %v: one of the newest hundred is missing", names(first))
	}
	for i := range 102 {
		name := fmt.Sprint(i)
		want = append(want, name)
		appendTo(t, log, name)
	}
	wantRest(t, log, "", want...)
	wantRest(t, log, begin, want[len(want)-102:]...)
}

// An entry that cannot be read is an error, and all entries before it are read.
func TestAnInvalidEntryIsNotSkipped(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	const canary = "canary"
	for _, entry := range []string{
		canary, "", "null", "{}", `[]`, `{"match":{"jti":"canary"}}`, `{"match":{"iss":"i"},"canary":1}`, `{"match":{"iss":"i"},"expires":"canary"}`,
		`{"match":{"iss":"i"},"match":{"iss":"canary"}}`, "{\"match\":{\"iss\":\"canary\xff\"}}",
	} {
		t.Run(fmt.Sprintf("%q", entry), func(t *testing.T) {
			t.Parallel()
			pool, table := s.pool(t), newTable()
			log := logOn(t, pool, table)
			appendTo(t, log, "before")
			run(t, pool, `INSERT INTO `+table+` (id, entry) VALUES (2, $1)`, []byte(entry))
			appendTo(t, log, "after")
			revs, position, err := log.Read(t.Context(), "", 0)
			if err == nil || len(revs) != 1 {
				t.Fatalf("got %v, %v", names(revs), err)
			}
			for _, wait := range []time.Duration{0, patience} {
				revs, _, err = log.Read(t.Context(), position, wait)
				if err == nil || len(revs) > 0 || !strings.HasPrefix(err.Error(), "pglog: read: entry 2: ") || strings.Contains(err.Error(), canary) {
					t.Errorf("got %v, %v", names(revs), err)
				}
			}
			run(t, pool, `DELETE FROM `+table+` WHERE id = 2`)
			wantRest(t, log, position, "after")
		})
	}
}

// A standby may lack durable entries, so it cannot confirm that there are no more. The test
// simulates one.
func TestAStandbyIsRefused(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	pool, table := s.pool(t), newTable()
	logOn(t, pool, table)
	run(t, pool, `CREATE SCHEMA standby_`+table)
	run(t, pool, `CREATE FUNCTION standby_`+table+`.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'`)
	log := openLog(t, s, table, "search_path=standby_"+table+",pg_catalog,public")
	for _, wait := range []time.Duration{0, patience} {
		if _, _, err := log.Read(t.Context(), "", wait); err == nil || !strings.Contains(err.Error(), "standby") {
			t.Errorf("got %v", err)
		}
	}
}

func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	const secret = "canary-wrong"
	for _, url := range []string{
		strings.Replace(s.url, password, secret, 1), // refused
		"postgres://app:" + secret + "@127.0.0.1:1/postgres",
		"postgres://app:" + secret + "@none.invalid/postgres",
	} {
		pool, err := pgxpool.New(t.Context(), url)
		must(t, "pool", err)
		t.Cleanup(pool.Close)
		log, err := pglog.New(pool, pglog.Config{})
		must(t, "new", err)
		_, _, read := log.Read(t.Context(), "", 0)
		for doing, err := range map[string]error{"append": log.Append(t.Context(), revocation("a")), "read": read, "create schema": log.CreateSchema(t.Context())} {
			if err == nil || !strings.HasPrefix(err.Error(), "pglog: "+doing+": ") || errors.Is(err, revlog.ErrTruncated) {
				t.Errorf("%s: %v", doing, err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("%s: the error holds the password", doing)
			}
		}
	}
}

func TestAMissingTableIsAnError(t *testing.T) {
	t.Parallel()
	log, err := pglog.New(requireServer(t, shared).pool(t), pglog.Config{Table: newTable()})
	must(t, "new", err)
	if err := log.Append(t.Context(), revocation("a")); err == nil {
		t.Error("Append returned nil without a table")
	}
	for _, wait := range []time.Duration{0, patience} {
		if _, _, err := log.Read(t.Context(), "", wait); err == nil || errors.Is(err, revlog.ErrTruncated) {
			t.Errorf("got %v", err)
		}
	}
}
