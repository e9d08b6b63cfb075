//go:build unix

package pglog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// relay forwards connections to the server. When it is frozen, its open connections stay open
// and forward nothing more, as when an address moves to another host; new connections work.
type relay struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	frozen chan struct{}
	conns  []net.Conn
}

func newRelay(t testing.TB, s *server) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	r := &relay{listener: l, target: fmt.Sprintf("127.0.0.1:%d", s.port), frozen: make(chan struct{})}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.forward(conn)
		}
	}()
	t.Cleanup(r.close)
	return r
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
}

func (r *relay) forward(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	r.conns = append(r.conns, conn, server)
	go copyUnless(r.frozen, server, conn)
	go copyUnless(r.frozen, conn, server)
}

func copyUnless(frozen <-chan struct{}, to io.WriteCloser, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-frozen:
			return // without closing the connections
		default:
		}
		if n > 0 {
			_, _ = to.Write(buffer[:n]) // an error appears at the next read
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

func (r *relay) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.frozen)
	r.frozen = make(chan struct{})
}

// url returns the URL of the server through the relay.
func (r *relay) url(s *server) string {
	return strings.Replace(s.url, r.target, r.listener.Addr().String(), 1)
}

// A list whose connections break without a sign can tell again within its MaxLag, and can append.
func TestAListRecoversWithinMaxLagFromSilentConnections(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	for _, tt := range []struct {
		name string
		cfg  pglog.Config
	}{
		{"listening", pglog.Config{}},
		{"polling", pglog.Config{PollInterval: 100 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			testSilentConnections(t, s, tt.cfg)
		})
	}
}

func testSilentConnections(t *testing.T, s *server, cfg pglog.Config) {
	t.Helper()
	admin, table := s.pool(t), newTable()
	writer := logOn(t, admin, table)
	relay := newRelay(t, s)
	pool := (&server{url: relay.url(s)}).pool(t, "pool_max_conns=4")
	cfg.Table = table
	log, err := pglog.New(pool, cfg)
	must(t, "new", err)
	const maxLag = 12 * time.Second // pgx alone needs 20 s
	list, err := revlog.Open(t.Context(), log, revlog.Config{MaxLag: maxLag, Poll: time.Second, Timeout: maxLag, Report: func(err error) { t.Log(err) }})
	must(t, "open", err)
	defer list.Close()
	defer relay.close() // before the pool, which would wait for the broken connections
	must(t, "ready", list.Ready(t.Context()))
	must(t, "revoke", list.Revoke(t.Context(), revocation("before")))
	// All connections that the pool may have are idle.
	for _, conn := range acquire(t, pool, 4) {
		conn.Release()
	}
	relay.freeze()
	began := time.Now()
	appendTo(t, writer, "after")
	eventually(t, "the list does not recover", func() bool {
		revoked, _ := list.Revoked(t.Context(), &oauthz.Token{Issuer: "https://login.example.com", ID: "after"})
		return revoked && list.Health() == nil
	})
	if took := time.Since(began); took > maxLag {
		t.Errorf("recovered after %v", took)
	}
	for range 5 { // more than the pool has connections
		if err := list.Revoke(t.Context(), revocation("own")); err != nil {
			t.Errorf("revoke: %v", err)
		}
	}
}

func acquire(t testing.TB, pool *pgxpool.Pool, n int) (conns []*pgxpool.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range n {
		conn, err := pool.Acquire(ctx)
		must(t, "acquire", err)
		conns = append(conns, conn)
	}
	return conns
}

// If the server does not answer, the error is not that of a cancelled context.
func TestASilentServerIsNotACancellation(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	table := newTable()
	logOn(t, s.pool(t), table)
	relay := newRelay(t, s)
	log := newLog(t, (&server{url: relay.url(s)}).pool(t), table)
	_, position, err := log.Read(t.Context(), "", 0)
	must(t, "read", err)
	relay.freeze()
	must(t, "close", relay.listener.Close())
	_, _, err = log.Read(t.Context(), position, 0)
	if err == nil || !strings.HasPrefix(err.Error(), "pglog: read: ") || errors.Is(err, revlog.ErrTruncated) {
		t.Errorf("got %v", err)
	}
}
