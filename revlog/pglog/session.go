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
	// locateAgain is how often a session checks which table has the name.
	locateAgain = 10 * time.Second
)

// session is a connection outside the pool, with which one Read at a time reads and listens.
// The log keeps it from one Read to the next.
type session struct {
	log       *Log
	conn      *pgx.Conn
	patience  time.Duration // how long the server may take for each answer
	located   time.Time     // when channel was looked up
	channel   string
	listening string // the channel on which it listens; "" for none
	notified  int    // notifications since the last read
	pace      pace
	end       position  // the position up to which it has read everything
	last      time.Time // when it last read
	closing   *time.Timer
}

// open connects a new session.
func (l *Log) open(ctx context.Context) (*session, error) {
	s := &session{log: l, patience: patience}
	// The payloads are discarded here: any login can send notifications, in any number and of
	// 8,000 bytes each.
	conn, err := l.connect(ctx, func(conn *pgconn.PgConn, _ *pgconn.Notification) {
		if s.notified++; s.notified > flood {
			_ = conn.Conn().Close() // the answer to a query would come after all of them
		}
	})
	if err != nil {
		return nil, withRemedy(err)
	}
	s.conn = conn
	return s, nil
}

// takeSession returns a session that no Read uses, or a new one.
func (l *Log) takeSession(ctx context.Context) (*session, error) {
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

// keepSession keeps s for the next Read, for keepIdle at most.
func (l *Log) keepSession(s *session) {
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

// await reads until there are entries, or the deadline. Its last read is at or after the
// deadline, whether or not it was notified, because not every notification arrives.
func (s *session) await(ctx context.Context, from position, deadline time.Time) (revs []oauthz.Revocation, next string, err error) {
	for must := s.mustRead(from); ; must = true {
		now := time.Now()
		begun, err := s.updateListening(ctx, now)
		if err != nil {
			return nil, "", err
		}
		if must || begun { // the session was not notified of commits before it listened
			revs, next, err := s.read(ctx, from)
			if err != nil || len(revs) > 0 || !now.Before(deadline) {
				return revs, next, err
			}
		}
		if err := s.wait(ctx, deadline); err != nil {
			return nil, "", err
		}
	}
}

// mustRead reports whether a Read must read before it waits.
func (s *session) mustRead(from position) bool {
	return !s.pace.busy && (s.notified > 0 || s.end != from)
}

// updateListening begins or ends to listen, as the pace and the identity of the table require.
// begun reports whether the session has begun to listen in this call.
func (s *session) updateListening(ctx context.Context, now time.Time) (begun bool, err error) {
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

// wait waits for a notification, or while busy for the time of the next read, until the
// deadline at most.
func (s *session) wait(ctx context.Context, deadline time.Time) error {
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
	return limitSilence(ctx, s.patience, func(ctx context.Context, _ func()) error {
		_, err := s.conn.Exec(ctx, sql)
		return err
	})
}

// locate finds the channel of the table, whichever name of the table is configured.
func (s *session) locate(ctx context.Context, now time.Time) error {
	return limitSilence(ctx, s.patience, func(ctx context.Context, _ func()) (err error) {
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
	s.last, s.end = now, position{-1, ""} // never the position of a Read
	if all {
		s.end, _ = parsePosition(next) // next was written by String
	}
	return revs, next, err
}

// errSilent is returned when the server is connected and does not answer.
var errSilent = errors.New("the server does not answer")

// limitSilence calls do with a context that ends when the server was silent for patience. do
// must call heard at each sign of life.
func limitSilence(ctx context.Context, patience time.Duration, do func(ctx context.Context, heard func()) error) error {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	err := do(limited, func() { timer.Reset(patience) })
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return errSilent // not a cancellation, because the caller did not cancel
	}
	return err
}
