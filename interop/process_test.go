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

// A process is a server that says "ready" when it listens. It ends when its stdin closes, so it does not outlive the tests.
type process struct {
	command *exec.Cmd
	stdin   io.Writer
	said    <-chan string // the lines of its stdout
	killed  bool
}

// startProcess runs a server that ends with the test, and returns when it is ready. What it logs is added to log.
func startProcess(t *testing.T, command *exec.Cmd, log *logBuffer) *process {
	t.Helper()
	command.Stderr = log
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p := &process{command: command, stdin: stdin, said: lines(stdout)}
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
	for range p.said { // Wait may be called only after stdout has been read to its end
	}
	_ = p.command.Wait() // says that it was killed
}

// tell sends the server a line.
func (p *process) tell(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(t, err)
}

// expect waits until the server says a line that begins with want, and returns the rest of it. Servers print notices of
// their own too, which are passed over.
func (p *process) expect(t *testing.T, want string) string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.said:
			require.True(t, ok, "%s ended before it said %q", p.command, want)
			if rest, found := strings.CutPrefix(line, want); found {
				return rest
			}
		case <-deadline:
			t.Fatalf("%s did not say %q in a minute", p.command, want)
		}
	}
}

// lines sends what r says, line by line, and closes the channel at its end.
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

// A logBuffer keeps what was logged, for a test that failed.
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
