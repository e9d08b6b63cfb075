package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// This test is not parallel, because it counts goroutines.
func TestServesUntilInterrupted(t *testing.T) {
	before := runtime.NumGoroutine()
	p := start(t)
	urls := regexp.MustCompile(`http://[^ ,"]+\d`).FindAllString(p.output, 2)
	require.Len(t, urls, 2, "the API and its authorization server")

	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Get(urls[0] + "/orders")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	client.CloseIdleConnections()

	p.interrupt()
	require.NoError(t, <-p.result)
	for _, url := range urls {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if assert.Error(t, err, "%s is still there", url) {
			continue
		}
		_ = conn.Close()
	}
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, // one more runs this condition
		10*time.Second, 10*time.Millisecond, "goroutines are left")
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-once"}, &out, outcomes()))

	assert.Equal(t, []string{
		"HTTP/1.1 200 OK",
		"HTTP/1.1 401 Unauthorized",
		"HTTP/1.1 400 Bad Request",
		"HTTP/1.1 401 Unauthorized",
		"HTTP/1.1 401 Unauthorized",
		"HTTP/1.1 403 Forbidden",
		"HTTP/1.1 503 Service Unavailable",
	}, linesWith(out.String(), "HTTP/1.1 "))
	assert.Len(t, linesWith(out.String(), "curl "), 7)
	assert.Len(t, linesWith(out.String(), "export "), 4)
	for i, title := range []string{
		"1. allowed: ", "2. no token: ", "3. malformed: ", "4. expired: ",
		"5. wrong audience: ", "6. insufficient scope: ", "7. issuer unreachable: ",
	} {
		assert.Len(t, linesWith(out.String(), title), 1, "row %d", i+1)
	}
	assert.NotContains(t, out.String(), "\x1b", "no colours: it may be read by a program")
}

func TestBrokenPromises(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		alter func(rows []row)
		want  []string
	}{
		{name: "a status", alter: func(rows []row) { rows[3].want.status = 200 }, want: []string{"row 4, expired: "}},
		{name: "a code", alter: func(rows []row) { rows[5].want.code = "invalid_token" }, want: []string{"row 6, insufficient scope: "}},
		{name: "a challenge", alter: func(rows []row) { rows[1].want.challenged = false }, want: []string{"row 2, no token: "}},
		{name: "Retry-After", alter: func(rows []row) { rows[6].want.retryAfter = false }, want: []string{"row 7, issuer unreachable: "}},
		{
			name:  "two rows",
			alter: func(rows []row) { rows[0].want.status, rows[2].want.status = 204, 401 },
			want:  []string{"row 1, allowed: ", "row 3, malformed: "},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rows := outcomes()
			tt.alter(rows)
			var out bytes.Buffer
			err := run(t.Context(), []string{"-once"}, &out, rows)
			require.Error(t, err)
			messages := strings.Split(err.Error(), "\n")
			require.Len(t, messages, len(tt.want))
			for i, want := range tt.want {
				assert.Contains(t, messages[i], want)
			}
			assert.Len(t, linesWith(out.String(), "curl "), 7, "the table is shown all the same")
		})
	}
}

// The program also ends without -once if an answer is not the expected one.
func TestBrokenPromiseEndsServing(t *testing.T) {
	t.Parallel()
	rows := outcomes()
	rows[0].want.status = 500
	require.ErrorContains(t, run(soon(t), nil, io.Discard, rows), "row 1, allowed: ")
}

func TestCurlLinesGiveWhatTheTableShows(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here")
	}
	p := start(t)
	exports := strings.Join(linesWith(p.output, "export "), "\n")
	rows := strings.Split(p.output, "\n\n")[2:] // after the introduction and the exports
	require.Len(t, rows, 8)                     // the last element is the text after the rows
	for _, shown := range rows[:7] {
		lines := strings.Split(shown, "\n")
		command := exec.CommandContext(t.Context(), shell, "-c", exports+"\n"+lines[1])
		command.Env = append(os.Environ(), "no_proxy=*")
		output, err := command.Output()
		require.NoError(t, err, lines[1])
		// net/http sends the header name in its canonical form.
		got := strings.ReplaceAll(string(output), "Www-Authenticate", "WWW-Authenticate")
		for _, want := range lines[2:] {
			want, _, _ = strings.Cut(strings.TrimSpace(want), "Retry-After: ") // the seconds depend on the time of the request
			assert.Contains(t, got, want, lines[1])
		}
		assert.Equal(t, strings.Contains(shown, "Retry-After: "), strings.Contains(got, "Retry-After: "), lines[1])
	}
}

func TestAddr(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.2:0", "[::1]:0"} { // neither is the default, and some machines have only one of them
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			probe, err := net.Listen("tcp", addr)
			if err != nil {
				t.Skip(err)
			}
			require.NoError(t, probe.Close())
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), []string{"-once", "-addr", addr}, &out, outcomes()))
			curls := linesWith(out.String(), "curl ")
			require.Len(t, curls, 7)
			for _, line := range curls {
				assert.Contains(t, line, `"http://`+strings.TrimSuffix(addr, "0"))
			}
		})
	}
}

func TestBusyAddr(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	var out bytes.Buffer
	err = run(soon(t), []string{"-addr", taken.Addr().String()}, &out, outcomes())
	require.ErrorContains(t, err, taken.Addr().String())
	assert.ErrorContains(t, err, "choose another -addr")
	assert.Empty(t, out.String())
}

func TestFlags(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-h"}, &out, outcomes()))
	assert.Contains(t, out.String(), "-addr address")
	assert.Contains(t, out.String(), "-once")

	require.Error(t, run(t.Context(), []string{"-twice"}, io.Discard, outcomes()))
	require.ErrorContains(t, run(t.Context(), []string{"-once", "more"}, io.Discard, outcomes()), `"more"`)
}

func TestOutputThatFails(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	gone := errors.New("the reader is gone")
	require.NoError(t, r.CloseWithError(gone))
	require.ErrorIs(t, run(soon(t), nil, w, outcomes()), gone)
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		header http.Header
		want   promise
	}{
		{name: "nothing", want: promise{}},
		{name: "a challenge", header: http.Header{"Www-Authenticate": {`Bearer realm="api"`}}, want: promise{challenged: true}},
		{
			name:   "an error in front",
			header: http.Header{"Www-Authenticate": {`Bearer error="a", error_description="b"`}},
			want:   promise{challenged: true, code: "a"},
		},
		{
			name:   "a description only",
			header: http.Header{"Www-Authenticate": {`Bearer realm="api", error_description="b"`}},
			want:   promise{challenged: true},
		},
		{name: "seconds", header: http.Header{"Retry-After": {"3"}}, want: promise{retryAfter: true}},
		{name: "no time", header: http.Header{"Retry-After": {"0"}}, want: promise{}},
		{name: "no number", header: http.Header{"Retry-After": {"soon"}}, want: promise{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, read(&http.Response{Header: tt.header}, nil).promise)
		})
	}
}

// A program is a quickstart that serves.
type program struct {
	output    string
	interrupt context.CancelFunc
	result    chan error
}

// start runs the program without -once, and returns after it has printed its whole output.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p := &program{interrupt: cancel, result: make(chan error, 1)}
	r, w := io.Pipe()
	go func() {
		err := run(ctx, args, w, outcomes())
		_ = w.CloseWithError(err)
		p.result <- err
	}()
	output := bufio.NewScanner(r)
	for output.Scan() {
		p.output += output.Text() + "\n"
		if strings.HasPrefix(output.Text(), "Serving until interrupted") {
			return p
		}
	}
	require.FailNow(t, "it does not serve", "%v", <-p.result)
	return nil
}

// soon returns a context with a time limit, for a run that must end by itself with an error. A program that serves instead
// ends at the limit, without that error.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// linesWith returns the lines of text that begin with prefix, ignoring leading spaces.
func linesWith(text, prefix string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}
