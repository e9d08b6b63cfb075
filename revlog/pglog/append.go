package pglog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/oauthz/oauthz"
)

// Append adds revs in one transaction, which the calls that arrive while another
// transaction is committed share. If ctx ends, Append returns at once; the other
// calls of the transaction are not affected.
//
// After an error the entries may be in the log nevertheless: the connection may
// have broken before the server acknowledged the commit.
func (l *Log) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	entries, expires, err := encode(revs)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && len(revs) > 0 {
		err = l.commits.do(ctx, &call{entries: entries, expires: expires})
	}
	if err != nil {
		return fmt.Errorf("pglog: append: %w", err)
	}
	return nil
}

// commit adds the entries of calls in one transaction.
func (l *Log) commit(ctx context.Context, calls []*call) error {
	conn, release, err := l.borrow(ctx)
	if err != nil {
		return explain(err)
	}
	defer release()
	t := transaction{log: l, trimmed: l.trimmed.load(time.Now())}
	for _, c := range calls {
		t.entries, t.expires = append(t.entries, c.entries...), append(t.expires, c.expires...)
	}
	err = conn.SendBatch(ctx, t.batch()).Close()
	if !t.committed {
		return explain(cmp.Or(err, errNoCommit))
	}
	for _, expires := range t.expires {
		if expires != nil && expires.Before(*t.trimmed) {
			t.trimmed = expires // it had expired long ago
		}
	}
	l.trimmed.store(t.trimmed)
	return nil // also if the notification failed: then a reader sees the entries when its wait ends
}

var errNoCommit = errors.New("the server did not acknowledge the commit")

// transaction is one commit, and its results.
type transaction struct {
	log       *Log
	entries   [][]byte
	expires   []*time.Time
	trimmed   *time.Time // see statements.trim
	committed bool
}

// batch goes to the server in one piece, including the commit. The transaction therefore
// never waits for this process while it holds the lock, even if this process stops or its network fails.
func (t *transaction) batch() *pgx.Batch {
	sql, b := t.log.sql, &pgx.Batch{}
	// In another isolation level the insert would not see the entries that were committed while it waited for the lock.
	b.Queue(`begin isolation level read committed read write`)
	b.Queue(sql.settings)
	b.Queue(sql.lock)
	b.Queue(sql.trim, 2*len(t.entries)+100, t.trimmed).QueryRow(func(row pgx.Row) error { return row.Scan(&t.trimmed) })
	b.Queue(sql.insert, t.expires, t.entries)
	b.Queue(`commit`).Exec(func(tag pgconn.CommandTag) error {
		t.committed = tag.String() == "COMMIT"
		return nil
	})
	// After the commit: any login can fill the server's queue of notifications, and then NOTIFY fails.
	b.Queue(sql.notify, t.log.table)
	return b
}

// encode returns each entry, and when it may be deleted (nil: never).
func encode(revs []oauthz.Revocation) (entries [][]byte, expires []*time.Time, err error) {
	for i, rev := range revs {
		entry, err := rev.MarshalJSON() // which checks it as rev.Check does
		if err != nil {
			return nil, nil, fmt.Errorf("entry %d: %w", i, err)
		}
		entries = append(entries, entry)
		if rev.Expires.IsZero() {
			expires = append(expires, nil)
		} else {
			expires = append(expires, &rev.Expires)
		}
	}
	return entries, expires, nil
}
