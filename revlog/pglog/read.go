package pglog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// closeTimeout is how long saying goodbye to the server may take.
const closeTimeout = time.Second

// Read returns what comes after a position. While it waits it holds a connection
// of the pool.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	from, err := parsePosition(after)
	if err != nil {
		return nil, "", err
	}
	deadline := time.Now().Add(wait)
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("pglog: read: %w", err)
	}
	defer conn.Release()
	r := reader{log: l, conn: conn.Conn(), from: from}
	if wait <= 0 {
		revs, next, err = r.readPrimary(ctx)
	} else {
		revs, next, err = r.await(ctx, deadline)
	}
	if err != nil && !errors.Is(err, revlog.ErrTruncated) {
		err = fmt.Errorf("pglog: read: %w", err)
	}
	return revs, next, err
}

// reader is one Read.
type reader struct {
	log  *Log
	conn *pgx.Conn
	from position
}

func (r *reader) readPrimary(ctx context.Context) ([]oauthz.Revocation, string, error) {
	if _, err := r.locate(ctx); err != nil {
		return nil, "", err
	}
	return r.read(ctx)
}

// locate returns the channel of the table, whatever name of it is configured.
func (r *reader) locate(ctx context.Context) (channel string, err error) {
	var standby bool
	if err := r.conn.QueryRow(ctx, r.log.sql.locate, r.log.table).Scan(&standby, &channel); err != nil {
		return "", err
	}
	if standby {
		return "", errors.New("the server is a standby, which may lag: connect to the primary")
	}
	return channel, nil
}

// await reads until there is something, or the deadline. It listens first and
// reads then: what is appended in between wakes it. Whether it was woken or not, it
// reads at the end: not every pooler lets notifications through.
func (r *reader) await(ctx context.Context, deadline time.Time) (revs []oauthz.Revocation, next string, err error) {
	channel, err := r.locate(ctx)
	if err != nil {
		return nil, "", err
	}
	channel = pgx.Identifier{channel}.Sanitize()
	defer func() {
		if !r.unlisten(ctx, channel) {
			r.abandon()
		}
	}()
	if _, err := r.conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, "", err
	}
	until, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for waiting := true; ; {
		revs, next, err = r.read(ctx)
		if err != nil || len(revs) > 0 || !waiting {
			return revs, next, err
		}
		_, err = r.conn.WaitForNotification(until)
		waiting = err == nil // else it is the deadline, or the next read fails too
	}
}

// unlisten makes the connection as it was, for whoever gets it next.
func (r *reader) unlisten(ctx context.Context, channel string) bool {
	if _, err := r.conn.Exec(ctx, "UNLISTEN "+channel); err != nil {
		return false
	}
	ended, cancel := context.WithCancel(ctx)
	cancel() // take what has come, and wait for nothing
	for {
		if _, err := r.conn.WaitForNotification(ended); err != nil {
			return !r.conn.IsClosed()
		}
	}
}

// abandon closes a connection that might still listen: the pool makes another.
func (r *reader) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = r.conn.Close(ctx) // it is closed in any case
}

// read reads once. The entry at the position comes with what follows it, in one
// statement: it cannot become another one in between.
func (r *reader) read(ctx context.Context) ([]oauthz.Revocation, string, error) {
	rows, err := r.conn.Query(ctx, r.log.sql.read, r.from.id, r.log.batch+1)
	if err != nil {
		return nil, "", err
	}
	found, err := pgx.CollectRows(rows, toRow)
	if err != nil {
		return nil, "", err
	}
	return decode(found, r.from, r.log.batch)
}

// row is a row of the table.
type row struct {
	at    position
	entry []byte
}

func toRow(from pgx.CollectableRow) (r row, err error) {
	err = from.Scan(&r.at.id, &r.at.mark, &r.entry)
	return r, err
}

// decode returns the entries of rows, which begin with that at from unless that is
// the beginning. With the error of one that cannot be read come those before it.
func decode(rows []row, from position, batch int) (revs []oauthz.Revocation, next string, err error) {
	if from != (position{}) {
		if len(rows) == 0 || rows[0].at != from {
			return nil, "", revlog.ErrTruncated
		}
		rows = rows[1:]
	}
	for _, row := range rows[:min(len(rows), batch)] {
		var rev oauthz.Revocation
		if err := rev.UnmarshalJSON(row.entry); err != nil {
			return revs, from.String(), fmt.Errorf("entry %d: %w", row.at.id, err)
		}
		revs, from = append(revs, rev), row.at
	}
	return revs, from.String(), nil
}
