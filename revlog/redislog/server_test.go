package redislog_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog/redislog"
)

// patience is the limit, on a slow machine, for everything that should happen at once.
const patience = 30 * time.Second

// server is a redis-server with a port and a folder of its own.
type server struct {
	addr, dir string
	args      []string
	command   *exec.Cmd
	stdin     io.Closer
	pid       int
	log       *logBuffer
}

// durable is the configuration that a server must have. A test that needs another one adds it
// after this.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always", "--save", ""}

// startServer runs a server until the test ends.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("OAUTHZ_REQUIRE_SERVICES") == "1" {
			t.Fatal("redis-server is missing: install redis (Debian: redis-server), 7.0 or newer")
		}
		t.Skip("redis-server is missing: install redis (Debian: redis-server), 7.0 or newer")
	}
	s := &server{addr: freeAddr(t), dir: t.TempDir(), args: append(append([]string(nil), durable...), args...)}
	t.Cleanup(func() { s.kill(t) })
	s.start(t)
	return s
}

// freeAddr returns a loopback address on which no process listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// watchScript runs a server until the stdin of the script ends, and then kills the server. The
// stdin also ends when the process of the tests is killed, so no server outlives it.
const watchScript = `"$@" & server=$!; read -r _; kill -9 $server; wait $server`

// start starts the server with the data that it had, and returns when it answers.
func (s *server) start(t testing.TB) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	args := append([]string{"-c", watchScript, "sh", "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", s.dir}, s.args...)
	s.command, s.log = exec.Command("sh", args...), &logBuffer{}
	s.command.Stdout, s.command.Stderr = s.log, s.log
	s.stdin, err = s.command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.command.Start())
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = client.Close() }()
	defer func() {
		if t.Failed() {
			t.Logf("the log of redis-server:\n%s", s.log)
		}
	}()
	await(t, func() bool { return client.Ping(t.Context()).Err() == nil })
	_, pid, _ := strings.Cut(client.Info(t.Context(), "server").Val(), "process_id:")
	s.pid, err = strconv.Atoi(strings.SplitN(pid, "\r", 2)[0])
	require.NoError(t, err)
}

// kill kills the server with SIGKILL and waits until it has ended.
func (s *server) kill(testing.TB) {
	if s.stdin == nil {
		return
	}
	_ = s.stdin.Close()
	_ = s.command.Wait() // its error is that of the kill
	s.stdin = nil
}

// client returns a new client of the server.
func (s *server) client(t testing.TB) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// open returns a log with a new client.
func (s *server) open(t testing.TB, cfg redislog.Config) *redislog.Log {
	t.Helper()
	log, err := redislog.New(s.client(t), cfg)
	require.NoError(t, err)
	return log
}

// logBuffer keeps the output of a server, for a test that failed.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// awaitWrites waits until the server accepts commands that write.
func (s *server) awaitWrites(t testing.TB) {
	t.Helper()
	client := s.client(t)
	await(t, func() bool { return client.Set(t.Context(), "any", 1, 0).Err() == nil })
}

// await blocks until a condition is met.
func await(t testing.TB, met func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !met(); <-tick.C {
		require.True(t, time.Now().Before(deadline), "the condition is not met")
	}
}

// awaitBlocked waits until the server blocks a command.
func awaitBlocked(t testing.TB, s *server) {
	t.Helper()
	client := s.client(t)
	await(t, func() bool { return strings.Contains(client.Info(t.Context(), "clients").Val(), "blocked_clients:1\r") })
}

// signal sends a signal to the server.
func (s *server) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	process, err := os.FindProcess(s.pid)
	require.NoError(t, err)
	require.NoError(t, process.Signal(signal))
}
