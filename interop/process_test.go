package interop_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process is a server that prints "ready" when it listens. It ends when its stdin closes, so it does not outlive the tests.
type process struct {
	command *exec.Cmd
	stdin   io.Writer
	stdout  <-chan string // the lines of its stdout
	killed  bool
}

// startProcess runs a server that ends with the test, and blocks until it is ready. The log of the server is added to log.
func startProcess(t *testing.T, command *exec.Cmd, log *logBuffer) *process {
	t.Helper()
	command.Stderr = log
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p := &process{command: command, stdin: stdin, stdout: lines(stdout)}
	t.Cleanup(func() { p.kill(t) })
	p.expect(t, "ready")
	return p
}

// kill kills the server by its process id, as an outage would, and waits until it is gone.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if p.killed {
		return
	}
	p.killed = true
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill %s: %v", p.command.Path, err)
	}
	for range p.stdout { // Wait may be called only after stdout has been read to its end
	}
	_ = p.command.Wait() // returns an error: the process was killed
}

// tell writes a line to the stdin of the server.
func (p *process) tell(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(t, err)
}

// expect blocks until the server prints a line that begins with want, and returns the rest of the line. It ignores other
// lines, because servers print notices of their own.
func (p *process) expect(t *testing.T, want string) string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.stdout:
			require.True(t, ok, "%s ended before it said %q", p.command, want)
			if rest, found := strings.CutPrefix(line, want); found {
				return rest
			}
		case <-deadline:
			t.Fatalf("%s did not say %q in a minute", p.command, want)
		}
	}
}

// lines sends the lines of r, and closes the channel at the end of r.
func lines(r io.Reader) <-chan string {
	out := make(chan string, 64)
	go func() {
		defer close(out)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			out <- scanner.Text()
		}
	}()
	return out
}

// A logBuffer keeps a log, to print it if the test fails.
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
