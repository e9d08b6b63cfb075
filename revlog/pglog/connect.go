package pglog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// borrowTimeout is how long the pool may take to supply a connection. The pool counts
	// broken connections for 15 seconds after it detected them, and a host that vanished breaks
	// all of them at once.
	borrowTimeout = time.Second
	// connectTimeout limits one attempt to connect, for example to an address that no longer
	// answers.
	connectTimeout = 5 * time.Second
	// fullPause is the longest pause before a log that polls connects again to a server without
	// a free connection.
	fullPause = 200 * time.Millisecond
)

// SQLSTATE codes, from appendix A of the PostgreSQL manual.
const (
	tooManyConnections = "53300"
	lockNotAvailable   = "55P03"
	uniqueViolation    = "23505"
	duplicateTable     = "42P07"
)

// hasCode reports whether err is an error of the server with one of codes.
func hasCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, code := range codes {
		if pg.Code == code {
			return true
		}
	}
	return false
}

// withRemedy adds a remedy to an error of the server that an administrator can act on.
func withRemedy(err error) error {
	switch {
	case hasCode(err, tooManyConnections):
		return fmt.Errorf("the server has no free connection: each list holds one; raise max_connections, or set Config.PollInterval, which holds none: %w", err)
	case hasCode(err, lockNotAvailable):
		return fmt.Errorf("a transaction of another writer has locked the table for more than %s seconds (see pg_locks): %w", lockSeconds, err)
	}
	return err
}

// borrow returns a connection for one use: one of the pool, or a new one if the pool has none
// free.
func (l *Log) borrow(ctx context.Context) (conn *pgx.Conn, release func(), err error) {
	if l.interval > 0 && l.pool.Stat().IdleConns() == 0 {
		return l.connectOnce(ctx) // the pool must not keep a connection because of this log
	}
	limited, cancel := context.WithTimeout(ctx, borrowTimeout)
	defer cancel()
	pooled, err := l.pool.Acquire(limited)
	switch {
	case err == nil:
		return pooled.Conn(), pooled.Release, nil
	case limited.Err() != nil && ctx.Err() == nil:
		return l.connectOnce(ctx)
	}
	return nil, nil, err
}

// connectOnce returns a new connection, which release closes. A log that polls waits until the
// server has one free, because other logs that poll close theirs soon.
func (l *Log) connectOnce(ctx context.Context) (conn *pgx.Conn, release func(), err error) {
	for {
		conn, err = l.connect(ctx, nil)
		if err == nil {
			return conn, func() { l.disconnect(conn) }, nil
		}
		if l.interval <= 0 || !hasCode(err, tooManyConnections) || !sleep(ctx, fullPause/2+rand.N(fullPause/2)) {
			return nil, nil, err
		}
	}
}

// connect makes a connection as the pool does, but outside the pool.
func (l *Log) connect(ctx context.Context, notified pgconn.NotificationHandler) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	pool := l.pool.Config() // a copy
	cfg := pool.ConnConfig
	cfg.OnNotification = notified
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, cfg); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if pool.AfterConnect != nil {
		if err := pool.AfterConnect(ctx, conn); err != nil {
			l.disconnect(conn)
			return nil, err
		}
	}
	return conn, nil
}

// disconnect closes conn, and waits for the server for one second at most.
func (l *Log) disconnect(conn *pgx.Conn) {
	if closing := l.pool.Config().BeforeClose; closing != nil {
		closing(conn)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // conn is closed even after an error
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
