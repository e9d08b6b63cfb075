package stage_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/examples/stage"
)

// source has every option that a curl line may have.
const source = "// Package main.\n//\n" +
	"//\tcurl -i http://127.0.0.1:8080/                                               # 401\n" +
	"//\tcurl -i -H \"Authorization: Bearer $ALICE\" http://127.0.0.1:8080/             # 200\n" +
	"//\tcurl -i -H \"Authorization: Bearer $ALICE\" -d 'a lamp' http://127.0.0.1:8080/ # 403\n" +
	"//\tcurl -i -H \"Authorization: Bearer $CLERK\" -d 'a lamp' http://127.0.0.1:8080/ # 200\n" +
	"//\tcurl -i -H \"Authorization: Bearer $ALICE\" -X DELETE -d lamp http://127.0.0.1:8080/ # 200\n"

func newAPI(guard *oauthz.Guard) http.Handler {
	mux := http.NewServeMux()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(r.Method+" "), r.Body))
	})
	mux.Handle("GET /", guard.Protect(oauthz.Require("orders:read"))(echo))
	mux.Handle("POST /", guard.Protect(oauthz.Require("orders:write"))(echo))
	mux.Handle("DELETE /", guard.Protect(oauthz.Require())(echo))
	return mux
}

func run(t *testing.T, source string, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := stage.Run(t.Context(), args, &out, source, newAPI)
	return out.String(), err
}

func TestRun(t *testing.T) {
	t.Parallel()
	out, err := run(t, source, "-once", "-addr", "127.0.0.1:0")
	require.NoError(t, err)
	assert.Equal(t, 5, strings.Count(out, "\ncurl "))
	assert.Equal(t, 4, strings.Count(out, "export "))
	assert.Contains(t, out, "200 OK\n   POST a lamp\n")
	assert.Contains(t, out, `403 Forbidden`+"\n   "+`WWW-Authenticate: Bearer realm="api", error="insufficient_scope"`)
	assert.NotContains(t, out, "127.0.0.1:8080", "the lines say where the API really is")
}

// An answer with another status than expected, and a line without an expected status, are errors.
func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{name: "another status", source: strings.ReplaceAll(source, "# 403", "# 200"), want: "promised 200, got 403"},
		{name: "no promise", source: source + "//\tcurl -i http://127.0.0.1:8080/\n", want: "6 curl lines, 5 of which"},
		{name: "no lines", source: "// Package main.", want: "0 curl lines"},
		{name: "another host", source: "//\tcurl -i http://example.com/ # 200", want: "do not understand"},
		{name: "two URLs", source: "//\tcurl http://127.0.0.1:8080/a http://127.0.0.1:8080/b # 200", want: "do not understand"},
		{name: "an option without its value", source: "//\tcurl http://127.0.0.1:8080/ -H # 200", want: "-H without a value"},
		{name: "no URL", source: "//\tcurl -i # 200", want: "no URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, tt.source, "-once", "-addr", "127.0.0.1:0")
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
}

// A program without -once also ends if an answer has another status than expected.
func TestBrokenPromiseEndsIt(t *testing.T) {
	t.Parallel()
	out, err := run(t, strings.ReplaceAll(source, "# 403", "# 200"), "-addr", "127.0.0.1:0")
	require.ErrorContains(t, err, "promised 200, got 403")
	assert.NotContains(t, out, "Serving until interrupted")
}

func TestFlags(t *testing.T) {
	t.Parallel()
	out, err := run(t, source, "-help")
	require.NoError(t, err)
	assert.Contains(t, out, "-once")
	_, err = run(t, source, "-wrong")
	require.Error(t, err)
	_, err = run(t, source, "more")
	require.ErrorContains(t, err, "more")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = run(t, source, "-addr", taken.Addr().String())
	require.ErrorContains(t, err, "-addr")
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:80", "::1": "http://[::1]:80",
		"0.0.0.0": "http://localhost:80", "::": "http://localhost:80",
	} {
		assert.Equal(t, want, stage.BaseURL(&net.TCPAddr{IP: net.ParseIP(ip), Port: 80}))
	}
}

// lines is a writer that sends what is written to it to a channel.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestServesUntilInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, result := make(lines, 10), make(chan error, 1)
	go func() { result <- stage.Run(ctx, []string{"-addr", "127.0.0.1:0"}, out, source, newAPI) }()
	shown := <-out
	assert.Contains(t, <-out, "Serving until interrupted")
	_, after, _ := strings.Cut(shown, "curl -i ")
	url, _, _ := strings.Cut(after, "\n")
	resp, err := http.Get(strings.TrimSpace(url))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	interrupt()
	require.NoError(t, <-result)
}
