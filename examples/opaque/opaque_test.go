package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/oauthztest"
)

// This test is not parallel, because it counts goroutines.
func TestServesUntilInterrupted(t *testing.T) {
	before := runtime.NumGoroutine()
	p := start(t)
	urls := regexp.MustCompile(`http://[^ ,"]+\d`).FindAllString(p.output, 2)
	require.Len(t, urls, 2, "the API and its authorization server")

	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Get(urls[0] + "/notes")
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
		"HTTP/1.1 200 OK",
		"HTTP/1.1 403 Forbidden",
		"HTTP/1.1 401 Unauthorized",
		"HTTP/1.1 204 No Content",
		"HTTP/1.1 401 Unauthorized",
		"HTTP/1.1 200 OK",
		"HTTP/1.1 503 Service Unavailable",
		"HTTP/1.1 401 Unauthorized",
	}, linesWith(out.String(), "HTTP/1.1 "))
	assert.Equal(t, []string{
		"(Observe: allowed, fresh. Calls to the server so far: 1)",
		"(Observe: allowed, remembered. Calls to the server so far: 1)",
		"(Observe: insufficient_scope, remembered. Calls to the server so far: 1)",
		"(Observe: invalid_token. Calls to the server so far: 2)",
		"(Observe: allowed, fresh. Calls to the server so far: 3)",
		"(Observe: invalid_token. Calls to the server so far: 4)",
		"(Observe: allowed, stale. Calls to the server so far: 4)",
		"(Observe: unavailable. Calls to the server so far: 4)",
		"(Observe: invalid_token. Calls to the server so far: 5)",
	}, linesWith(out.String(), "(Observe: "))
	assert.Len(t, linesWith(out.String(), "curl "), 9)
	assert.Len(t, linesWith(out.String(), "export "), 4)
	for i, title := range []string{
		"1. allowed: ", "2. allowed again: ", "3. insufficient scope: ", "4. unknown token: ", "5. log out: ",
		"6. logged out: ", "7. server down: ", "8. server down, new token: ", "9. revoked: ",
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
		{name: "a status", alter: func(rows []row) { rows[3].want.status = 200 }, want: []string{"row 4, unknown token: "}},
		{name: "a code", alter: func(rows []row) { rows[2].want.code = "invalid_token" }, want: []string{"row 3, insufficient scope: "}},
		{name: "a challenge", alter: func(rows []row) { rows[5].want.challenged = false }, want: []string{"row 6, logged out: "}},
		{name: "Retry-After", alter: func(rows []row) { rows[7].want.retryAfter = false }, want: []string{"row 8, server down, new token: "}},
		{name: "a source", alter: func(rows []row) { rows[6].want.source = "fresh" }, want: []string{"row 7, server down: "}},
		{name: "a call", alter: func(rows []row) { rows[1].want.calls = 2 }, want: []string{"row 2, allowed again: "}},
		{
			name:  "no outage",
			alter: func(rows []row) { rows[6].scene = nil },
			want:  []string{"row 7, server down: ", "row 8, server down, new token: ", "row 9, revoked: "},
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
			assert.Len(t, linesWith(out.String(), "curl "), 9, "the table is shown all the same")
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

// The commands that the program prints at the end have the results that it states.
func TestCurlLines(t *testing.T) {
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
	curls := linesWith(p.output, "curl ")
	require.Len(t, curls, 11)
	for _, tt := range []struct {
		name, line, want string
	}{
		{name: "good", line: curls[9], want: " 200 OK"},
		{name: "log out", line: strings.ReplaceAll(curls[4], "$BOB", "$CAROL"), want: " 204 No Content"},
		{name: "logged out", line: curls[9], want: " 401 Unauthorized"},
		{name: "revoke", line: curls[10], want: " 200 OK"}, // also for a revoked token
		{name: "revoked in the story", line: curls[0], want: " 401 Unauthorized"},
	} {
		command := exec.CommandContext(t.Context(), shell, "-c", exports+"\n"+tt.line)
		command.Env = append(os.Environ(), "no_proxy=*")
		output, err := command.Output()
		require.NoError(t, err, tt.line)
		assert.Contains(t, string(output), tt.want, tt.name)
	}
}

// A logout does not report success while the server still accepts the token.
func TestLogoutWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	s := newPlay()
	defer s.as.Close()
	a, err := newAPI(t.Context(), s.config())
	require.NoError(t, err)
	defer a.cache.Close()
	send := func(method, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "bearer   "+s.token("BOB")) // a spelling that RFC 6750 allows
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w
	}

	assert.Equal(t, http.StatusOK, send("GET", "/notes").Code)
	s.as.Inject(oauthztest.EndpointRevocation, oauthztest.Down())
	w := send("POST", "/logout")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.Equal(t, http.StatusOK, send("GET", "/notes").Code)

	s.as.Heal(oauthztest.EndpointRevocation)
	assert.Equal(t, http.StatusNoContent, send("POST", "/logout").Code)
	assert.Equal(t, http.StatusUnauthorized, send("GET", "/notes").Code)
}

// A thousand requests with a new token cause one introspection request.
func TestAsksOnce(t *testing.T) {
	t.Parallel()
	s := newPlay()
	defer s.as.Close()
	a, err := newAPI(t.Context(), s.config())
	require.NoError(t, err)
	defer a.cache.Close()
	var clients sync.WaitGroup
	for range 1000 {
		clients.Go(func() {
			r := httptest.NewRequest("GET", "/notes", nil)
			r.Header.Set("Authorization", "Bearer "+s.token("ALICE"))
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			assert.Equal(t, http.StatusOK, w.Code)
		})
	}
	clients.Wait()
	assert.Equal(t, 1, s.calls())
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
			require.Len(t, curls, 9)
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

// A program is an opaque that serves.
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
		if strings.HasPrefix(output.Text(), "curl -i -u") {
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
