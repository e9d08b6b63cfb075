package pglog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lockClass is the first of the two keys of every advisory lock taken here; the
// second is the table's oid, or 0 while one is created.
const lockClass = "1868658042" // "oauz"

// keptHours is how long an entry is kept after it expired: more than
// [oauthz.MaxLeeway] by what the clocks of server and instances may differ.
const keptHours = "1"

// keptNewest is how many of the newest entries stay although they are over, so
// that the position of a reader that has nearly everything still is an entry.
const keptNewest = "100"

// statements are the SQL for one table, whose quoted name is all that varies.
type statements struct{ schema, exists, locate, lock, trim, insert, notify, read string }

func newStatements(table string) statements {
	of := strings.NewReplacer("{table}", table, "{class}", lockClass, "{hours}", keptHours, "{newest}", keptNewest).Replace
	return statements{
		schema: of(`CREATE TABLE {table} (
	id      bigint      PRIMARY KEY CHECK (id > 0),
	mark    uuid        NOT NULL DEFAULT gen_random_uuid(),
	expires timestamptz,          -- NULL: never
	entry   bytea       NOT NULL  -- JSON; jsonb would lose NULs and digits
);
CREATE INDEX ON {table} (expires);
`),
		exists: `SELECT to_regclass($1::text) IS NOT NULL`,
		locate: `SELECT pg_is_in_recovery(), 'oauthz_' || $1::text::regclass::oid`,
		lock:   of(`SELECT pg_advisory_xact_lock({class}, $1::text::regclass::oid::int4)`),
		trim: of(`DELETE FROM {table} WHERE id IN (
	SELECT id FROM {table}
	WHERE expires < now() - interval '{hours} hours' AND id <= (SELECT max(id) FROM {table}) - {newest}
	ORDER BY expires LIMIT $1::bigint)`),
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
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		// CREATE TABLE IF NOT EXISTS fails where two do it at the same time.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(`+lockClass+`, 0)`); err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(ctx, l.sql.exists, l.table).Scan(&exists); err != nil || exists {
			return err
		}
		_, err := tx.Exec(ctx, l.sql.schema)
		return err
	})
	if err != nil {
		return fmt.Errorf("pglog: create schema: %w", err)
	}
	return nil
}
