package pglog

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz/revlog"
)

// Config configures a Log. The zero value is usable.
type Config struct {
	_ struct{}
	// Table is the name of the table, without quotes: one name, or a schema, a dot and a name.
	// Default "oauthz_revocations".
	Table string
	// Batch is the most entries that one Read returns. An entry has some 200 bytes, and never
	// more than 400 KB. At most 100,000. Default 1,000.
	Batch int
	// PollInterval, if not zero, is the time between two queries of a Read that waits. Each
	// interval is random, and up to a half shorter, so that instances do not read in step. The
	// Read then does not listen, and holds no connection between the queries; otherwise it
	// holds one. Use PollInterval if there are more instances than the server has connections,
	// and behind a pooler such as PgBouncer in transaction mode. A revocation reaches the other
	// instances up to PollInterval later. The Poll of [revlog.Config] limits the interval, too:
	// for less than one query a second, raise both. At least 10 ms. Default 0: listen, and see
	// revocations at once.
	PollInterval time.Duration
}

const (
	defaultTable = "oauthz_revocations"
	defaultBatch = 1_000
	maxBatch     = 100_000
	maxName      = 63 // bytes of an identifier; PostgreSQL cuts off longer ones

	minPollInterval = 10 * time.Millisecond
)

// Log is a [revlog.Log] on a table. It is safe for concurrent use, by any number of processes.
// A goroutine runs only while an Append is in progress, and a connection that no Read uses is
// closed after five seconds. There is nothing to close.
type Log struct {
	pool         *pgxpool.Pool
	table        string // quoted
	batch        int
	interval     time.Duration // 0: listen instead
	sql          statements
	commits      commits
	trimProgress trimProgress

	mu   sync.Mutex
	idle []*session // sessions that no Read uses
}

var _ revlog.Batcher = (*Log)(nil)

// New returns the log on a table, which [Log.CreateSchema] or a migration has created or will
// create. It does not connect, and fails only if pool or cfg is invalid. The pool belongs to
// the caller.
func New(pool *pgxpool.Pool, cfg Config) (*Log, error) {
	if cfg.Table == "" {
		cfg.Table = defaultTable
	}
	if cfg.Batch == 0 {
		cfg.Batch = defaultBatch
	}
	name := pgx.Identifier(strings.Split(cfg.Table, "."))
	if err := errors.Join(checkPool(pool), checkName(name), checkBatch(cfg.Batch), checkInterval(cfg.PollInterval)); err != nil {
		return nil, err
	}
	table := name.Sanitize()
	l := &Log{pool: pool, table: table, batch: cfg.Batch, interval: cfg.PollInterval, sql: newStatements(table)}
	l.commits.run = l.commit
	return l, nil
}

// Batch returns the most entries that a Read returns: see [revlog.Batcher].
func (l *Log) Batch() int { return l.batch }

func checkPool(pool *pgxpool.Pool) error {
	if pool == nil {
		return errors.New("pglog: config: the pool is nil")
	}
	return nil
}

func checkBatch(batch int) error {
	if batch < 0 || batch > maxBatch {
		return fmt.Errorf("pglog: config: Batch is not in 1 to %d", maxBatch)
	}
	return nil
}

func checkInterval(interval time.Duration) error {
	if interval != 0 && interval < minPollInterval {
		return fmt.Errorf("pglog: config: PollInterval is negative or less than %v", minPollInterval)
	}
	return nil
}

func checkName(name pgx.Identifier) error {
	if len(name) > 2 {
		return errors.New("pglog: config: Table has more than one dot")
	}
	for _, part := range name {
		// Sanitize would remove a NUL, and the name would be that of another table.
		if part == "" || len(part) > maxName || !utf8.ValidString(part) || strings.ContainsRune(part, 0) {
			return fmt.Errorf("pglog: config: each name in Table must have 1 to %d bytes of UTF-8 without NUL", maxName)
		}
	}
	return nil
}
