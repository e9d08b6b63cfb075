//go:build unix

package pglog_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	patience = time.Minute
	password = "canary-secret"
)

// server is a PostgreSQL server with a folder and a port of its own.
type server struct {
	bin, dir   string
	port       int
	credential *syscall.Credential // nil: the user that runs the tests
	url        string
	// connections is max_connections; default 100
	connections int

	command  *exec.Cmd
	watchdog *exec.Cmd
	exited   chan struct{}
	log      *os.File
}

// shared is the server of all tests that do not kill theirs.
var shared = sync.OnceValues(newServer)

var started []*server // all servers of this process; guarded by startedMu

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range started {
		s.remove()
	}
	os.Exit(code)
}

var errMissing = errors.New("PostgreSQL is missing: install the package postgresql, or put initdb and postgres on the PATH")

// requireServer returns a server, or skips the test if PostgreSQL is not installed.
func requireServer(t testing.TB, start func() (*server, error)) *server {
	t.Helper()
	s, err := start()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("OAUTHZ_REQUIRE_SERVICES") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return s
}

var startedMu sync.Mutex

// newServer creates a folder with a new cluster, and starts a server on it.
func newServer() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pglog-")
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, dir: dir}
	startedMu.Lock()
	started = append(started, s)
	startedMu.Unlock()
	if err := s.init(); err != nil {
		return nil, err
	}
	return s, s.start()
}

func binaries() (string, error) {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
	slices.Reverse(folders)
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = slices.Insert(folders, 0, filepath.Dir(path))
	}
	for _, folder := range folders {
		_, initdb := os.Stat(filepath.Join(folder, "initdb"))
		_, postgres := os.Stat(filepath.Join(folder, "postgres"))
		if initdb == nil && postgres == nil {
			return folder, nil
		}
	}
	return "", errMissing
}

func (s *server) init() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	if err := s.chown(s.dir, secret); err != nil {
		return err
	}
	initdb := s.program("initdb", "-D", s.data(), "-U", "app", "-A", "scram-sha-256", "--pwfile="+secret, "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	var err error
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	s.port, err = freePort()
	s.url = fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", url.UserPassword("app", password), s.port)
	return err
}

// chown gives files to another user if this process runs as root, as which PostgreSQL refuses
// to run.
func (s *server) chown(files ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(account.Uid) // always numbers on Unix
	gid, _ := strconv.Atoi(account.Gid)
	s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, file := range files {
		if err := os.Chown(file, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) program(name string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.bin, name), args...)
	command.Dir = s.dir
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	return command
}

// freePort returns a port below those that the system gives to clients. A client could
// otherwise take the port while the server is down.
func freePort() (int, error) {
	for range 100 {
		port := 20_000 + rand.N(10_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// start starts the server, and returns when it answers.
func (s *server) start() error {
	s.command = s.program("postgres", "-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", "",
		"-c", "fsync=on", "-c", "max_connections="+strconv.Itoa(cmp.Or(s.connections, 100)), "-c", "shared_buffers=32MB")
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		return err
	}
	if err := s.watch(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() {
		defer close(s.exited)
		_ = s.command.Wait() // its error is that of the kill
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; {
		err := s.answers()
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("postgres ended:\n%s", s.logged())
		case <-tick.C:
			if time.Now().After(deadline) {
				return fmt.Errorf("postgres does not answer: %w\n%s", err, s.logged())
			}
		}
	}
}

func (s *server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (s *server) logged() []byte {
	text, _ := os.ReadFile(s.log.Name()) // only for an error message
	return text
}

// watch starts a process that ends the server when this process ends, however it ends: the
// stdin of the watchdog then ends.
func (s *server) watch() error {
	s.watchdog = exec.Command("sh", "-c", `read -r _; kill -QUIT "$0"`, strconv.Itoa(s.command.Process.Pid))
	_, err := s.watchdog.StdinPipe() // stays open while this process runs
	return errors.Join(err, s.watchdog.Start())
}

// kill kills the server and its children, as a power failure does, and returns when they have
// ended.
func (s *server) kill() {
	if s.command == nil {
		return
	}
	_ = s.watchdog.Process.Kill()                 // first: it must not kill another process that gets the same id
	_ = s.watchdog.Wait()                         // its error is that of the kill
	_ = s.command.Process.Signal(syscall.SIGSTOP) // it starts no more children, and cannot end them properly
	family := children(s.command.Process.Pid)
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	_ = s.command.Process.Kill()
	<-s.exited
	s.command = nil
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); slices.ContainsFunc(family, isRunning) && time.Now().Before(deadline); {
		<-tick.C
	}
}

// children returns the processes that a process has started. Without /proc it returns none: the
// children then detect that the postmaster has ended.
func children(of int) (pids []int) {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder)) // always a number
		if _, parent := stat(pid); parent == of {
			pids = append(pids, pid)
		}
	}
	return pids
}

func isRunning(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z"
}

// stat reads the state and the parent of a process: "pid (name) state parent …".
func stat(pid int) (state string, parent int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // it may have ended
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1]) // always a number
	return fields[0], parent
}

func (s *server) remove() {
	s.kill()
	if s.log != nil {
		_ = s.log.Close()
	}
	_ = os.RemoveAll(s.dir)
}

// pool connects to the server until the test ends. options are parameters of the URL.
func (s *server) pool(t testing.TB, options ...string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), strings.Join(append([]string{s.url}, options...), "&"))
	must(t, "pool", err)
	t.Cleanup(pool.Close)
	return pool
}
