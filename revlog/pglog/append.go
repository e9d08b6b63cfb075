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

// Append adds revs in one transaction. Calls that arrive while another transaction is committed
// share the next one. If ctx ends, Append returns at once; the other calls of the transaction
// are not affected.
//
// After an error the entries may nevertheless be in the log: the connection may have broken
// before the server acknowledged the commit.
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
		return withRemedy(err)
	}
	defer release()
	t := transaction{log: l, trimmedUntil: l.trimProgress.load(time.Now())}
	for _, c := range calls {
		t.entries, t.expires = append(t.entries, c.entries...), append(t.expires, c.expires...)
	}
	err = conn.SendBatch(ctx, t.batch()).Close()
	if !t.committed {
		return withRemedy(cmp.Or(err, errNoCommit))
	}
	for _, expires := range t.expires {
		if expires != nil && expires.Before(*t.trimmedUntil) {
			t.trimmedUntil = expires // the entry had expired before it was appended
		}
	}
	l.trimProgress.store(t.trimmedUntil)
	return nil // even if the notification failed: a reader then sees the entries when its wait ends
}

var errNoCommit = errors.New("the server did not acknowledge the commit")

// transaction is one commit, and its results.
type transaction struct {
	log          *Log
	entries      [][]byte
	expires      []*time.Time
	trimmedUntil *time.Time // see statements.trim
	committed    bool
}

// batch returns all statements, including the commit. They go to the server in one piece, so
// the transaction never waits for this process while it holds the lock, even if this process
// stops or its network fails.
func (t *transaction) batch() *pgx.Batch {
	sql, b := t.log.sql, &pgx.Batch{}
	// In any other isolation level the insert would not see the entries that were committed while it waited for the lock.
	b.Queue(`begin isolation level read committed read write`)
	b.Queue(sql.settings)
	b.Queue(sql.lock)
	b.Queue(sql.trim, 2*len(t.entries)+100, t.trimmedUntil).QueryRow(func(row pgx.Row) error { return row.Scan(&t.trimmedUntil) })
	b.Queue(sql.insert, t.expires, t.entries)
	b.Queue(`commit`).Exec(func(tag pgconn.CommandTag) error {
		t.committed = tag.String() == "COMMIT"
		return nil
	})
	// After the commit: any login can fill the server's queue of notifications, and then NOTIFY fails.
	b.Queue(sql.notify, t.log.table)
	return b
}

// encode returns each entry, and the time from which it may be deleted (nil: never).
func encode(revs []oauthz.Revocation) (entries [][]byte, expires []*time.Time, err error) {
	for i, rev := range revs {
		entry, err := rev.MarshalJSON() // it checks rev as rev.Check does
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
