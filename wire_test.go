package oauthz_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// outermost records the ResponseWriter of the server.
func outermost(next http.Handler, given *http.ResponseWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*given = w
		next.ServeHTTP(w, r)
	})
}

// A handler receives the ResponseWriter of the server itself, with all its optional interfaces.
func TestResponseWriterIsNotWrapped(t *testing.T) {
	t.Parallel()
	w := &watch{}
	guard := newGuard(t, oauthz.Config{
		Introspector: knows(`{}`), Observe: w.observe,
		ErrorHandler: func(http.ResponseWriter, *http.Request, *oauthz.Error) {},
	})
	var given http.ResponseWriter
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Same(t, given, w)
		_, ok := w.(http.Hijacker)
		assert.True(t, ok, "Hijacker")
		_, ok = w.(io.ReaderFrom)
		assert.True(t, ok, "ReaderFrom")
		assert.NoError(t, http.NewResponseController(w).EnableFullDuplex())
		w.WriteHeader(http.StatusNoContent)
	})
	server := listen(t, outermost(guard.Protect(oauthz.Require())(guard.Protect(oauthz.Require())(handler)), &given))
	got := exchange(t, server, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+goodToken+"\r\n\r\n", &spy{})
	assert.Equal(t, http.StatusNoContent, got.status)
}

const upgrade = "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// echo hijacks the connection, and sends a line back.
func echo(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, both, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer connection.Close()
		_, _ = io.WriteString(both, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = both.Flush()
		line, _ := both.ReadString('\n')
		_, _ = io.WriteString(both, "echo "+line)
		_ = both.Flush()
	}
}

// A handler can upgrade the connection, but only after the token was accepted.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	server := listen(t, newGuard(t, oauthz.Config{}).Protect(oauthz.Require())(echo(t)))
	connection, reader := dial(t, server)
	_, err := io.WriteString(connection, upgrade+"Authorization: Bearer "+goodToken+"\r\n\r\n")
	require.NoError(t, err)
	switched, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, switched.StatusCode)
	_, err = io.WriteString(connection, "hello\n")
	require.NoError(t, err)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "echo hello\n", line)

	noToken.check(t, exchange(t, server, upgrade+"\r\n", &spy{}))
	badToken.check(t, exchange(t, server, upgrade+"Authorization: Bearer bad\r\n\r\n", &spy{}))
	noToken.check(t, exchange(t, server, upgrade+"Sec-WebSocket-Protocol: "+goodToken+"\r\n\r\n", &spy{}))
}

// A stream is flushed piece by piece, and its handler can read when the token expires.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	guard := newGuard(t, oauthz.Config{Introspector: knows(fmt.Sprintf(`{"exp":%d}`, epoch.Unix()+60)), Now: atEpoch})
	read := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := oauthz.TokenFrom(r.Context())
		_, _ = fmt.Fprintf(w, "data: until %s\n\n", token.ExpiresAt.Format("15:04:05"))
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-read // the first event arrived, though the response goes on
	})
	server := listen(t, guard.Protect(oauthz.Require())(handler))
	connection, reader := dial(t, server)
	_, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+goodToken+"\r\n\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	event, err := bufio.NewReader(answer.Body).ReadString('\n')
	close(read)
	require.NoError(t, err)
	assert.Equal(t, "data: until 03:05:05\n", event)
}

// A refused upload is answered at once, without "100 Continue", without waiting for its body: the server
// closes the connection.
func TestRefusedUploads(t *testing.T) {
	t.Parallel()
	const gigabyte = "Content-Length: 1073741824\r\n"
	for name, fields := range map[string]string{
		"unread":        gigabyte,
		"form":          "Content-Type: application/x-www-form-urlencoded\r\n" + gigabyte,
		"expects a 100": "Expect: 100-continue\r\n" + gigabyte,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := &spy{}
			server := listen(t, newGuard(t, oauthz.Config{}).Protect(oauthz.Require())(handler))
			connection, reader := dial(t, server)
			_, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: h\r\n"+fields+"\r\n")
			require.NoError(t, err)
			all, err := io.ReadAll(reader) // ends because the server closes
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(string(all), "HTTP/1.1 401 "), "%.60q", all)
			answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(all))), nil)
			require.NoError(t, err)
			noToken.check(t, seen(t, answer, handler))
		})
	}
}

// If a request is let through, its handler reads the body, and only then the server sends "100 Continue".
func TestAllowedUpload(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		_, _ = w.Write(body)
	})
	server := listen(t, newGuard(t, oauthz.Config{}).Protect(oauthz.Require())(handler))
	connection, reader := dial(t, server)
	_, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+goodToken+"\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	require.NoError(t, err)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, _ = reader.ReadString('\n')
	_, err = io.WriteString(connection, "hello")
	require.NoError(t, err)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	assert.Equal(t, "hello", seen(t, answer, &spy{}).body)
}

// No Error of a hook can inject a header into the response.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	evil := "x\r\nX-Injected: 1\r\n\r\n<script>"
	guard := newGuard(t, oauthz.Config{Introspector: answers(nil, &oauthz.Error{
		Status: 401, Code: evil, Description: evil, Scopes: []string{evil}, ACRValues: []string{evil},
		Header: http.Header{"X-Value": {evil}, evil: {"value"}},
	})})
	for _, protocol := range []int{1, 2} {
		server := httptest.NewUnstartedServer(guard.Protect(oauthz.Require())(&spy{}))
		server.EnableHTTP2 = protocol == 2
		server.StartTLS()
		defer server.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+goodToken)
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		assert.Equal(t, protocol, answer.ProtoMajor)
		assert.Equal(t, http.StatusUnauthorized, answer.StatusCode)
		assert.Empty(t, answer.Header.Get("X-Injected"))
		assert.Len(t, answer.Header.Values("WWW-Authenticate"), 1)
	}
}
