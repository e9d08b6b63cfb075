package pglog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lockSeconds is how long an Append waits for another to commit.
const lockSeconds = "3"

// keptHours is how long an entry is kept after it expired. It is longer than [oauthz.MaxLeeway]
// by more than the clocks of server and instances may differ.
const keptHours = "1"

// keptNewest is how many of the newest entries stay although they have expired, so that the
// entry at the position of a reader that has nearly all entries is still in the table.
const keptNewest = "100"

// statements is the SQL for one table. Only the quoted name of the table varies.
//
// lock locks the row 0, which is not an entry, and creates it if it is missing. This needs the
// right to update the table, as a lock of the table itself would; but that would stop VACUUM,
// too. Any login may take an advisory lock.
//
// settings restrict the server to plans that follow the indexes, because its statistics of a
// table that grows at one end and shrinks at the other are always out of date.
//
// trim deletes expired entries, in the order of their index, and returns the time of expiry
// from which the next trim must start.
type statements struct{ schema, exists, locate, settings, lock, trim, insert, notify, read string }

func newStatements(table string) statements {
	fill := strings.NewReplacer("{table}", table, "{seconds}", lockSeconds, "{hours}", keptHours, "{newest}", keptNewest).Replace
	return statements{
		schema: fill(`CREATE TABLE {table} (
	id      bigint      PRIMARY KEY CHECK (id >= 0), -- 0: not an entry, but the row that writers lock
	mark    uuid        NOT NULL DEFAULT gen_random_uuid(),
	expires timestamptz,          -- NULL: never expires
	entry   bytea       NOT NULL  -- JSON; jsonb would lose NULs and digits
);
CREATE INDEX ON {table} (expires);
`),
		exists: `SELECT to_regclass($1::text) IS NOT NULL`,
		locate: `SELECT pg_is_in_recovery(), 'oauthz_' || $1::text::regclass::oid`,
		settings: fill(`SELECT set_config('lock_timeout', '{seconds}s', true), set_config('enable_seqscan', 'off', true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
	CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`),
		lock: fill(`INSERT INTO {table} (id, entry) VALUES (0, '') ON CONFLICT (id) DO UPDATE SET mark = excluded.mark WHERE false`),
		trim: fill(`WITH expired AS (
	SELECT id, expires FROM {table}
	WHERE expires >= coalesce($2::timestamptz, '-infinity') AND expires < now() - interval '{hours} hours'
	ORDER BY expires LIMIT $1::bigint
), deleted AS (
	DELETE FROM {table} WHERE id = ANY (ARRAY (SELECT id FROM expired WHERE id <= (SELECT max(id) FROM {table}) - {newest}))
)
SELECT coalesce(min(expires), now() - interval '{hours} hours') FROM expired`),
		insert: fill(`INSERT INTO {table} (id, expires, entry)
	SELECT (SELECT coalesce(max(id), 0) FROM {table}) + new.n, new.expires, new.entry
	FROM unnest($1::timestamptz[], $2::bytea[]) WITH ORDINALITY AS new (expires, entry, n)`),
		notify: `SELECT pg_notify('oauthz_' || $1::text::regclass::oid, '')`,
		read:   fill(`SELECT id, mark::text, entry FROM {table} WHERE id >= $1::bigint ORDER BY id LIMIT $2::bigint`),
	}
}

// Schema returns the SQL that creates the table and its index, for programs that run
// migrations.
func (l *Log) Schema() string { return l.sql.schema }

// CreateSchema creates the table if it does not exist. Any number of instances may call it at
// once. It does not alter an existing table, and does not create the PostgreSQL schema of the
// table.
func (l *Log) CreateSchema(ctx context.Context) error {
	err := l.createSchema(ctx)
	for range 2 { // another instance may create it at the same time, and yet another may drop it
		// CREATE TABLE IF NOT EXISTS has the same errors.
		if !hasCode(err, uniqueViolation, duplicateTable) {
			break
		}
		err = l.createSchema(ctx)
	}
	if err != nil {
		return fmt.Errorf("pglog: create schema: %w", err)
	}
	return nil
}

func (l *Log) createSchema(ctx context.Context) error {
	return pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		var exists bool
		if err := tx.QueryRow(ctx, l.sql.exists, l.table).Scan(&exists); err != nil || exists {
			return err
		}
		_, err := tx.Exec(ctx, l.sql.schema)
		return err
	})
}
