package pglog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/oauthz/oauthz"
)

// Append adds revs in one transaction. If the connection is lost before the
// server has acknowledged the commit, that is an error, although they may be
// there.
func (l *Log) Append(ctx context.Context, revs ...oauthz.Revocation) error {
	entries, expires, err := encode(revs)
	if err != nil {
		return fmt.Errorf("pglog: append: %w", err)
	}
	if len(revs) == 0 {
		return nil
	}
	if err := l.pool.SendBatch(ctx, l.transaction(entries, expires)).Close(); err != nil {
		return fmt.Errorf("pglog: append: %w", err)
	}
	return nil
}

// transaction goes to the server at once, commit included: so it never waits for this
// process while it holds the lock, were this process to freeze or vanish.
func (l *Log) transaction(entries [][]byte, expires []*time.Time) *pgx.Batch {
	b := &pgx.Batch{}
	// In another isolation the insert would not see what was committed while it waited for the lock.
	b.Queue(`begin isolation level read committed read write`)
	b.Queue(`SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`)
	b.Queue(l.sql.lock, l.table)
	b.Queue(l.sql.trim, 2*len(entries)+100) // more than is added, so that it ends
	b.Queue(l.sql.insert, expires, entries)
	b.Queue(l.sql.notify, l.table)
	b.Queue(`commit`).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return errors.New("the server did not commit")
		}
		return nil
	})
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
