package adaptertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
)

// timeout bounds every wait. Only a broken adapter takes that long.
const timeout = 20 * time.Second

// shared returns a Guard whose introspector returns the same two *Token values to every caller, as a cache does: those of alice
// and of bob, whose names are their tokens.
func shared(t *testing.T) *oauthz.Guard {
	t.Helper()
	tokens := map[string]*oauthz.Token{}
	for _, name := range []string{"alice", "bob"} {
		tokens[name] = oauthztest.Token(oauthztest.Claims{"sub": name, "scope": "orders:read " + name})
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: oauthz.IntrospectorFunc(func(_ context.Context, token string) (*oauthz.Token, error) {
		if t, ok := tokens[token]; ok {
			return t, nil
		}
		return nil, oauthz.ErrInvalidToken
	})})
	if err != nil {
		t.Fatal(err)
	}
	return guard
}

// runUsers sends 10,000 requests, 50 at a time, of two users and of one who is refused, in turn. Each handler must get the
// token of its own user. It may change the token, and may keep it after the request.
func runUsers(t *testing.T, build Build) {
	const clients, requests = 50, 200
	var kept sync.WaitGroup
	read := oauthz.Require("orders:read")
	h := build(shared(t), func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		user := r.Header.Get("X-Expect")
		if token == nil || token.Subject != user || token.Scopes.String() != "orders:read "+user {
			w.WriteHeader(http.StatusConflict)
			return
		}
		kept.Go(func() {
			if token.Subject != user {
				t.Error("the token of another user after the request")
			}
			token.Subject, token.Scopes[0] = "mallory", "all"
		})
		_, _ = io.WriteString(w, user)
	}, read, read)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range requests {
				user := []string{"alice", "bob", "mallory"}[i%3]
				wantCode, wantBody := http.StatusOK, user
				if user == "mallory" {
					wantCode, wantBody = http.StatusUnauthorized, badToken
				}
				if code, body := ask(h, http.MethodGet, "Bearer "+user, http.Header{"X-Expect": {user}}); code != wantCode || body != wantBody {
					t.Errorf("%s got %d %q", user, code, body)
					return
				}
			}
		})
	}
	all.Wait()
	kept.Wait()
}

func ask(h http.Handler, method, authorization string, header http.Header) (code int, body string) {
	r := httptest.NewRequest(method, "/orders", nil)
	for name, values := range header {
		r.Header[name] = values
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// runMethods checks that no method reaches the handler without a token, and that every method does with one. The framework
// itself may answer a method that it cannot route, but such a method must not reach the handler without a token either.
func runMethods(t *testing.T, build Build) {
	ran, seen := 0, ""
	h := build(shared(t), func(_ http.ResponseWriter, r *http.Request) { ran, seen = ran+1, r.Method+" "+r.URL.Path }, oauthz.Require())
	for _, method := range []string{"PROPFIND", "QUERY", "BREW", "get"} {
		if code, _ := ask(h, method, "", nil); code < 400 || ran > 0 {
			t.Errorf("%s without a token: %d, and the handler ran %d times", method, code, ran)
		}
	}
	methods := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect,
	}
	for i, method := range methods {
		code, _ := ask(h, method, "", nil)
		equal(t, method+" without a token", code, http.StatusUnauthorized)
		code, _ = ask(h, method, "Bearer alice", nil)
		equal(t, method, code, http.StatusOK)
		equal(t, method+": handlers run", ran, i+1)
		equal(t, method+": the request of the handler", seen, method+" /orders")
	}
}

// runHTTP10 sends requests of HTTP/1.0.
func runHTTP10(t *testing.T, build Build) {
	server := httptest.NewServer(build(shared(t), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "orders") }, oauthz.Require()))
	defer server.Close()
	for header, want := range map[string]string{
		"Authorization: Bearer alice\r\n": "200 orders",
		"authorization: bearer alice\r\n": "200 orders",
		"":                                "401 {}",
		"Authorization: Bearer alice\r\nauthorization: Bearer alice\r\n": "400 " + badRequest,
	} {
		connection, reader := dial(t, server)
		_, err := io.WriteString(connection, "GET /orders HTTP/1.0\r\n"+header+"\r\n")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("%q", header), answerOf(t, reader), want)
	}
}

func dial(t *testing.T, server *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	return connection, bufio.NewReader(connection)
}

// answerOf returns the status and the body of the next response.
func answerOf(t *testing.T, reader *bufio.Reader) string {
	t.Helper()
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(body))
}

// runHTTP2 sends requests of HTTP/2, where two Authorization fields are refused too.
func runHTTP2(t *testing.T, build Build) {
	server := httptest.NewUnstartedServer(build(shared(t), func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }, oauthz.Require()))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{fields: []string{"Bearer alice"}, want: "200 HTTP/2.0"},
		{want: "401 {}"},
		{fields: []string{"Bearer alice", "Bearer alice"}, want: "400 " + badRequest},
		{fields: []string{"Bearer mallory"}, want: "401 " + badToken},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.fields != nil {
			r.Header["Authorization"] = tt.fields
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprint(tt.fields), fmt.Sprint(answer.StatusCode, " ", string(body)), tt.want)
	}
}

// runUpgrade checks that a handler may take over the connection, and that it does not run for a refused request.
func runUpgrade(t *testing.T, build Build) {
	taken := make(chan struct{}, 2) // one for each request, or a handler that ran by mistake would block the server
	server := httptest.NewServer(build(shared(t), func(w http.ResponseWriter, _ *http.Request) {
		taken <- struct{}{}
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
		_ = connection.Close()
	}, oauthz.Require()))
	defer server.Close()
	const request = "GET /orders HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: echo\r\n"
	connection, reader := dial(t, server)
	_, _ = io.WriteString(connection, request+"\r\n")
	equal(t, "without a token", answerOf(t, reader), "401 {}")
	equal(t, "connections taken over", len(taken), 0)

	connection, reader = dial(t, server)
	_, _ = io.WriteString(connection, request+"Authorization: Bearer alice\r\n\r\n")
	all, err := io.ReadAll(reader)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 101 ") || !strings.HasSuffix(string(all), "\r\n\r\nhello\n") {
		t.Errorf("with a token: %v %q", err, all)
	}
}

// runStream checks that flushed data arrives while the handler still runs.
func runStream(t *testing.T, build Build) {
	seen := make(chan struct{})
	server := httptest.NewServer(build(shared(t), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
			return
		}
		select {
		case <-seen:
		case <-r.Context().Done():
			t.Error("the client is gone")
		}
		_, _ = io.WriteString(w, "second\n")
	}, oauthz.Require()))
	defer server.Close()
	connection, reader := dial(t, server)
	_, _ = io.WriteString(connection, "GET /orders HTTP/1.0\r\nAuthorization: Bearer alice\r\n\r\n")
	line, err := "", error(nil)
	for line != "first\n" && err == nil {
		line, err = reader.ReadString('\n')
	}
	close(seen) // even if the line did not arrive: otherwise the handler never returns, and the server waits for it
	rest, err := io.ReadAll(io.MultiReader(strings.NewReader(line), reader))
	if err != nil || string(rest) != "first\nsecond\n" {
		t.Errorf("%v %q", err, rest)
	}
}

// runHangUp checks that the context of the request ends when the client disconnects.
func runHangUp(t *testing.T, build Build) {
	running, ended := make(chan struct{}), make(chan bool, 1)
	patience, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	server := httptest.NewServer(build(shared(t), func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		select {
		case <-r.Context().Done():
			ended <- true
		case <-patience.Done():
			ended <- false
		}
	}, oauthz.Require(), oauthz.Require("orders:read")))
	defer server.Close()
	connection, _ := dial(t, server)
	_, _ = io.WriteString(connection, "GET /orders HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer alice\r\n\r\n")
	select {
	case <-running:
		_ = connection.Close()
		equal(t, "the context of the request ended", <-ended, true)
	case <-patience.Done():
		t.Error("the handler did not run")
	}
}
