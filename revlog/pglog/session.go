package pglog

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/oauthz/oauthz"
)

const (
	// keepIdle is how long a session without a Read stays connected.
	keepIdle = 5 * time.Second
	// locateAgain is how often a session looks which table has the name.
	locateAgain = 10 * time.Second
)

// session is a connection outside the pool with which one Read at a time reads, and
// listens. It is kept from one Read to the next.
type session struct {
	log       *Log
	conn      *pgx.Conn
	patience  time.Duration // for each answer
	located   time.Time     // when channel was looked up
	channel   string
	listening string // the channel that it listens on; "" for none
	notified  int    // notifications since the last read
	pace      pace
	end       position  // up to which it has read everything
	last      time.Time // when it last read
	closing   *time.Timer
}

// open connects.
func (l *Log) open(ctx context.Context) (*session, error) {
	s := &session{log: l, patience: patience}
	// The payloads are discarded here: any login can send notifications, of any number and 8,000 bytes each.
	conn, err := l.connect(ctx, func(conn *pgconn.PgConn, _ *pgconn.Notification) {
		if s.notified++; s.notified > flood {
			_ = conn.Conn().Close() // the answer to a query would come after all of them
		}
	})
	if err != nil {
		return nil, explain(err)
	}
	s.conn = conn
	return s, nil
}

// take returns a session that no Read uses, or a new one.
func (l *Log) take(ctx context.Context) (*session, error) {
	l.mu.Lock()
	for n := len(l.idle); n > 0; n = len(l.idle) {
		s := l.idle[n-1]
		l.idle = l.idle[:n-1]
		if s.closing.Stop() {
			l.mu.Unlock()
			return s, nil
		}
	}
	l.mu.Unlock()
	return l.open(ctx)
}

// put keeps s for the next Read, for a while.
func (l *Log) put(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, s)
	s.closing = time.AfterFunc(keepIdle, func() {
		l.mu.Lock()
		for i, idle := range l.idle {
			if idle == s {
				l.idle = append(l.idle[:i], l.idle[i+1:]...)
				break
			}
		}
		l.mu.Unlock()
		l.disconnect(s.conn)
	})
}

// await reads until there is something, or the deadline. It reads last at or after
// the deadline, whether it was notified or not: not every notification arrives.
func (s *session) await(ctx context.Context, from position, deadline time.Time) (revs []oauthz.Revocation, next string, err error) {
	for look := s.worthReading(from); ; look = true {
		now := time.Now()
		begun, err := s.attune(ctx, now)
		if err != nil {
			return nil, "", err
		}
		if look || begun { // what was committed before it listened was not announced to it
			revs, next, err := s.read(ctx, from)
			if err != nil || len(revs) > 0 || !now.Before(deadline) {
				return revs, next, err
			}
		}
		if err := s.rest(ctx, deadline); err != nil {
			return nil, "", err
		}
	}
}

// worthReading reports whether a Read must read before it waits.
func (s *session) worthReading(from position) bool {
	return !s.pace.busy && (s.notified > 0 || s.end != from)
}

// attune begins or ends to listen, as the pace and the table's identity demand. begun
// reports whether the session has only now begun.
func (s *session) attune(ctx context.Context, now time.Time) (begun bool, err error) {
	if now.Sub(s.located) > locateAgain {
		if err := s.locate(ctx, now); err != nil {
			return false, err
		}
	}
	want := s.channel
	if s.pace.busy {
		want = ""
	}
	if want == s.listening {
		return false, nil
	}
	if s.listening != "" {
		if err := s.exec(ctx, "UNLISTEN *"); err != nil {
			return false, err
		}
		s.listening = ""
	}
	if want == "" {
		return false, nil
	}
	s.listening = want
	return true, s.exec(ctx, "LISTEN "+pgx.Identifier{want}.Sanitize())
}

// rest waits for a notification, or while busy for the time of the next read, until the deadline at most.
func (s *session) rest(ctx context.Context, deadline time.Time) error {
	if s.pace.busy {
		sleep(ctx, min(time.Until(s.last.Add(s.pace.pause())), time.Until(deadline)))
		return ctx.Err()
	}
	if s.notified == 0 { // none came with the answer to the last read, whose snapshot is older
		until, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		// The error is that of the deadline, or the next read returns it too.
		_ = s.conn.PgConn().WaitForNotification(until)
	}
	if s.notified > 0 {
		s.pace.notified(time.Now())
	}
	return ctx.Err()
}

func (s *session) exec(ctx context.Context, sql string) error {
	return answered(ctx, s.patience, func(ctx context.Context, _ func()) error {
		_, err := s.conn.Exec(ctx, sql)
		return err
	})
}

// locate finds the channel of the table, whatever name of it is configured.
func (s *session) locate(ctx context.Context, now time.Time) error {
	return answered(ctx, s.patience, func(ctx context.Context, _ func()) (err error) {
		s.channel, err = s.log.locate(ctx, s.conn)
		s.located = now
		return err
	})
}

func (s *session) read(ctx context.Context, from position) ([]oauthz.Revocation, string, error) {
	s.notified = 0
	revs, next, all, err := s.log.read(ctx, s.conn, s.patience, from)
	now := time.Now()
	s.pace.read(now, len(revs) > 0)
	s.last, s.end = now, position{-1, ""} // no position of a Read
	if all {
		s.end, _ = parsePosition(next) // one that was just written
	}
	return revs, next, err
}

// errSilent is returned where the server is connected and does not answer.
var errSilent = errors.New("the server does not answer")

// answered calls do with a context that ends when the server was silent for patience.
// do calls heard at each sign of life.
func answered(ctx context.Context, patience time.Duration, do func(ctx context.Context, heard func()) error) error {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	err := do(limited, func() { timer.Reset(patience) })
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return errSilent // and not a cancellation, of which the caller knows nothing
	}
	return err
}
