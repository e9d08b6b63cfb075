package oauthztest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// A session is the time during which a server listens: from NewServer or Start to Stop or Close.
type session struct {
	server *http.Server
	cancel context.CancelFunc // ends the context of every request
	served chan struct{}      // closed after the last connection was accepted
	alive  sync.WaitGroup     // connections, and handlers (a handler can outlive a connection that it hijacks)
}

// serve serves the requests that arrive at l with s until the session ends.
func serve(l net.Listener, s *Server) *session {
	ctx, cancel := context.WithCancel(context.Background())
	live := &session{cancel: cancel, served: make(chan struct{})}
	live.server = &http.Server{
		Handler:     live.counted(http.HandlerFunc(s.dispatch)),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState:   live.track,
		ErrorLog:    log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(live.served)
		_ = live.server.Serve(l) // always returns an error: the server was closed
	}()
	return live
}

// track counts connections by the states that net/http reports: each connection is new once, and closed or hijacked once.
func (l *session) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		l.alive.Add(1)
	case http.StateClosed, http.StateHijacked:
		l.alive.Done()
	}
}

// counted counts handlers too. While a handler starts, its connection is still counted, so Add is never called while the
// counter is zero and Wait runs.
func (l *session) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.alive.Add(1)
		defer l.alive.Done()
		next.ServeHTTP(w, r)
	})
}

// end closes every connection and waits for every handler.
func (l *session) end() {
	l.cancel()
	_ = l.server.Close()
	<-l.served
	_ = l.server.Close() // again, for a connection that was accepted while the first Close ran
	l.alive.Wait()
}

// listen listens on addr, or, if addr is empty, on the same address as net/http/httptest does.
func listen(addr string) (net.Listener, error) {
	if addr != "" {
		return net.Listen("tcp", addr)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return net.Listen("tcp6", "[::1]:0")
	}
	return l, nil
}

// listenAgain listens on an address that an earlier session has used. An outgoing connection of another program may use the
// port for a short time, since it was free, so listenAgain tries several times.
func listenAgain(addr string) (net.Listener, error) {
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	deadline := time.Now().Add(5 * time.Second)
	for {
		l, err := net.Listen("tcp", addr)
		if err == nil || time.Now().After(deadline) {
			return l, err
		}
		<-retry.C
	}
}

// loopback reports whether addr is empty or a loopback host and a port: no other machine may reach a server that mints.
func loopback(addr string) bool {
	if addr == "" {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}
