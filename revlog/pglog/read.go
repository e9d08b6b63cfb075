package pglog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

const (
	// patience is how long a connection that worked before may be silent. A host that vanished
	// sends nothing, and the operating system would detect that only after minutes.
	patience = 2 * time.Second
	// patienceAgain is the same for a new connection, whose host has just answered.
	patienceAgain = 30 * time.Second
)

// Read returns the entries after a position. It reads over a connection of its own, which the
// log keeps for the next Read; with Config.PollInterval it holds a connection only during a
// query. A connection that does not answer is replaced, once in each Read.
func (l *Log) Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error) {
	from, err := parsePosition(after)
	if err != nil {
		return nil, "", err
	}
	deadline := time.Now().Add(wait)
	if l.interval > 0 {
		revs, next, err = l.poll(ctx, from, deadline)
	} else {
		revs, next, err = l.follow(ctx, from, deadline)
	}
	if err != nil && !errors.Is(err, revlog.ErrTruncated) {
		err = fmt.Errorf("pglog: read: %w", err)
	}
	return revs, next, err
}

// follow reads with a session.
func (l *Log) follow(ctx context.Context, from position, deadline time.Time) ([]oauthz.Revocation, string, error) {
	s, err := l.takeSession(ctx)
	if err != nil {
		return nil, "", err
	}
	revs, next, err := s.await(ctx, from, deadline)
	if s.conn.IsClosed() && ctx.Err() == nil {
		again, openErr := l.open(ctx)
		if openErr != nil {
			return nil, "", openErr
		}
		if s.notified > flood {
			again.pace.flooded(time.Now())
		}
		s = again
		s.patience = patienceAgain
		revs, next, err = s.await(ctx, from, deadline)
		s.patience = patience
	}
	if s.conn.IsClosed() || ctx.Err() != nil {
		l.disconnect(s.conn)
	} else {
		l.keepSession(s)
	}
	return revs, next, err
}

// poll reads once in each interval.
func (l *Log) poll(ctx context.Context, from position, deadline time.Time) ([]oauthz.Revocation, string, error) {
	for {
		now := time.Now()
		if left := deadline.Sub(now); left > 0 {
			// The pause is random: if all logs connect at the same time, the server may not have enough connections.
			if !sleep(ctx, min(l.interval-rand.N(l.interval/2), left)) {
				return nil, "", ctx.Err()
			}
			now = time.Now()
		}
		revs, next, err := l.readOnce(ctx, from)
		if err != nil || len(revs) > 0 || !now.Before(deadline) {
			return revs, next, err
		}
	}
}

// readOnce reads once, over a connection that is used only for this read.
func (l *Log) readOnce(ctx context.Context, from position) ([]oauthz.Revocation, string, error) {
	conn, release, err := l.borrow(ctx)
	if err != nil {
		return nil, "", withRemedy(err)
	}
	revs, next, err := l.readPrimary(ctx, conn, patience, from)
	closed := conn.IsClosed()
	release()
	if !closed || ctx.Err() != nil {
		return revs, next, err
	}
	if conn, release, err = l.connectOnce(ctx); err != nil {
		return nil, "", withRemedy(err)
	}
	defer release()
	return l.readPrimary(ctx, conn, patienceAgain, from)
}

// readPrimary reads once, after a check that the server is not a standby.
func (l *Log) readPrimary(ctx context.Context, conn *pgx.Conn, patience time.Duration, from position) ([]oauthz.Revocation, string, error) {
	err := limitSilence(ctx, patience, func(ctx context.Context, _ func()) error {
		_, err := l.locate(ctx, conn)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	revs, next, _, err := l.read(ctx, conn, patience, from)
	return revs, next, err
}

// locate returns the channel of the table, and an error if the server is a standby.
func (l *Log) locate(ctx context.Context, conn *pgx.Conn) (channel string, err error) {
	var standby bool
	if err := conn.QueryRow(ctx, l.sql.locate, l.table).Scan(&standby, &channel); err != nil {
		return "", err
	}
	if standby {
		return "", errors.New("the server is a standby, which may lag: connect to the primary")
	}
	return channel, nil
}

// read reads once; all reports whether there were no more entries. The entry at the position is
// read with those after it, in one statement, so that it cannot be replaced by another one in
// between.
func (l *Log) read(ctx context.Context, conn *pgx.Conn, patience time.Duration, from position) (revs []oauthz.Revocation, next string, all bool, err error) {
	var found []row
	err = limitSilence(ctx, patience, func(ctx context.Context, heard func()) error {
		rows, err := conn.Query(ctx, l.sql.read, max(from.id, 1), l.batch+1)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(from pgx.CollectableRow) (r row, err error) {
			heard()
			err = from.Scan(&r.at.id, &r.at.mark, &r.entry)
			return r, err
		})
		return err
	})
	if err != nil {
		return nil, "", false, err
	}
	revs, next, err = decode(found, from, l.batch)
	return revs, next, err == nil && len(found) <= l.batch, err
}

// row is a row of the table.
type row struct {
	at    position
	entry []byte
}

// decode returns the entries of rows. The first row is the entry at from, unless from is the
// beginning. If an entry cannot be read, the entries before it are returned with the error.
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
