package pglog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lockSeconds is how long an Append waits for another to commit.
const lockSeconds = "3"

// keptHours is how long an entry is kept after it expired: more than
// [oauthz.MaxLeeway] by what the clocks of server and instances may differ.
const keptHours = "1"

// keptNewest is how many of the newest entries stay although they are over, so
// that the position of a reader that has nearly everything still is an entry.
const keptNewest = "100"

// statements are the SQL for one table, whose quoted name is all that varies.
//
// lock locks the row 0, which is not an entry, and creates it where it is missing. This
// takes the right to update the table, as a lock of the table itself would; but that would stop VACUUM, too.
// Any login may take an advisory lock.
//
// settings keep the server to plans that follow the indexes: its statistics of a table that
// grows at one end and shrinks at the other are always old.
//
// trim deletes expired entries, in the order of their index, and returns the time of
// expiry from which the next trim has to look.
type statements struct{ schema, exists, locate, settings, lock, trim, insert, notify, read string }

func newStatements(table string) statements {
	of := strings.NewReplacer("{table}", table, "{seconds}", lockSeconds, "{hours}", keptHours, "{newest}", keptNewest).Replace
	return statements{
		schema: of(`CREATE TABLE {table} (
	id      bigint      PRIMARY KEY CHECK (id >= 0), -- 0: no entry, but what writers lock
	mark    uuid        NOT NULL DEFAULT gen_random_uuid(),
	expires timestamptz,          -- NULL: never
	entry   bytea       NOT NULL  -- JSON; jsonb would lose NULs and digits
);
CREATE INDEX ON {table} (expires);
`),
		exists: `SELECT to_regclass($1::text) IS NOT NULL`,
		locate: `SELECT pg_is_in_recovery(), 'oauthz_' || $1::text::regclass::oid`,
		settings: of(`SELECT set_config('lock_timeout', '{seconds}s', true), set_config('enable_seqscan', 'off', true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
	CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`),
		lock: of(`INSERT INTO {table} (id, entry) VALUES (0, '') ON CONFLICT (id) DO UPDATE SET mark = excluded.mark WHERE false`),
		trim: of(`WITH expired AS (
	SELECT id, expires FROM {table}
	WHERE expires >= coalesce($2::timestamptz, '-infinity') AND expires < now() - interval '{hours} hours'
	ORDER BY expires LIMIT $1::bigint
), deleted AS (
	DELETE FROM {table} WHERE id = ANY (ARRAY (SELECT id FROM expired WHERE id <= (SELECT max(id) FROM {table}) - {newest}))
)
SELECT coalesce(min(expires), now() - interval '{hours} hours') FROM expired`),
		insert: of(`INSERT INTO {table} (id, expires, entry)
	SELECT (SELECT coalesce(max(id), 0) FROM {table}) + new.n, new.expires, new.entry
	FROM unnest($1::timestamptz[], $2::bytea[]) WITH ORDINALITY AS new (expires, entry, n)`),
		notify: `SELECT pg_notify('oauthz_' || $1::text::regclass::oid, '')`,
		read:   of(`SELECT id, mark::text, entry FROM {table} WHERE id >= $1::bigint ORDER BY id LIMIT $2::bigint`),
	}
}

// Schema returns the SQL that creates the table and its index, for those who run
// migrations.
func (l *Log) Schema() string { return l.sql.schema }

// CreateSchema creates the table, if there is none. Any number of instances may
// do so at once. It does not alter a table that is there, and it does not create
// the schema that the table is to be in.
func (l *Log) CreateSchema(ctx context.Context) error {
	err := l.createSchema(ctx)
	for range 2 { // an instance that creates it at the same time, and one that drops it
		// CREATE TABLE IF NOT EXISTS fails like this, too.
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
