//go:build unix

package pglog_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// earlyNotice is a connection on which a notification arrives before the end of the answer to
// the first query that finds no row. then is called before the notification: the snapshot of
// the query is older.
type earlyNotice struct {
	net.Conn
	then func()
	done *atomic.Bool
	rest []byte
}

var (
	nothingFound = []byte("SELECT 0\x00")
	readyMessage = []byte("Z\x00\x00\x00\x05I")
	notification = []byte("A\x00\x00\x00\x0b\x00\x00\x00\x01c\x00\x00") // process 1, channel "c", no payload
)

func (c *earlyNotice) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		buffer := make([]byte, 64<<10)
		n, err := c.Conn.Read(buffer)
		if err != nil {
			return 0, err
		}
		c.rest = buffer[:n]
		if answer, ends := bytes.CutSuffix(c.rest, readyMessage); ends && bytes.Contains(answer, nothingFound) && !c.done.Swap(true) {
			c.then()
			c.rest = bytes.Join([][]byte{answer, notification, readyMessage}, nil)
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// A notification that arrives with the answer to a query announces an entry that the query did
// not find.
func TestANotificationDuringAQueryIsNotLost(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	entry, err := revocation("a").MarshalJSON()
	must(t, "marshal", err)
	cfg, err := pgxpool.ParseConfig(s.url)
	must(t, "config", err)
	dial, done := cfg.ConnConfig.DialFunc, new(atomic.Bool)
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &earlyNotice{Conn: conn, done: done, then: func() {
			run(t, admin, `INSERT INTO `+table+` (id, entry) VALUES (1, $1)`, entry)
		}}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	began := time.Now()
	revs, _, err := newLog(t, pool, table).Read(t.Context(), "", patience)
	if took := time.Since(began); err != nil || len(revs) != 1 || took > patience/2 {
		t.Errorf("got %v, %v after %v", names(revs), err, took)
	}
}
