// Package stage is the environment of the API of an example: the flags and the
// server, and for most examples a fake authorization server, a Guard that accepts
// its tokens, and a client that sends the curl lines of the example's doc comment
// and checks the answers. Your own program has a real authorization server, and does
// not need this package.
package stage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// audience is the name of the API in the aud claim of its tokens.
const audience = "https://orders.example"

// DefaultAddr is the address on which an example listens, and that of its curl lines.
const DefaultAddr = "127.0.0.1:8080"

// Main is the main function of an example: source is its main.go, with the curl
// lines, and newAPI makes the API behind a Guard.
func Main(source string, newAPI func(*oauthz.Guard) http.Handler) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, os.Args[1:], os.Stdout, source, newAPI)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Run is Main for tests: it serves until ctx is done, or with the flag -once until
// the curl lines are answered. Its error names the lines whose answer has another
// status than expected.
func Run(ctx context.Context, args []string, stdout io.Writer, source string, newAPI func(*oauthz.Guard) http.Handler) error {
	opts, err := Parse("example", DefaultAddr, args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	lines, err := curlLines(source)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return fmt.Errorf("%w (choose another -addr; port 0 is a free one)", err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // otherwise the fetching of the keys would never end

	as := oauthztest.NewServer(oauthztest.Config{Audience: []string{audience}, Algorithm: "ES256"})
	defer as.Close()
	guard, remembering, err := newGuard(ctx, as)
	if err != nil {
		return err
	}
	defer remembering.Close()
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, newAPI(guard)) }()

	err = show(ctx, stdout, BaseURL(listener.Addr()), mint(as), lines)
	if err == nil && !opts.Once {
		_, err = fmt.Fprintln(stdout, "Serving until interrupted (Ctrl-C).")
	}
	if err != nil || opts.Once {
		cancel()
	}
	return errors.Join(err, <-served)
}

// newGuard returns a Guard that verifies the server's tokens locally, with a cache.
func newGuard(ctx context.Context, as *oauthztest.Server) (*oauthz.Guard, *cache.Cache, error) {
	introspector, err := localjwt.New(ctx, localjwt.Config{
		Issuer:   as.Issuer(),
		Audience: []string{audience},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, err
	}
	remembering, err := cache.New(introspector, cache.Config{})
	if err != nil {
		return nil, nil, err
	}
	guard, err := oauthz.New(oauthz.Config{Introspector: remembering})
	if err != nil {
		return nil, nil, errors.Join(err, remembering.Close())
	}
	return guard, remembering, nil
}

// mint makes the tokens of the users, by the names of their variables in a shell.
// The tokens are valid for a day.
func mint(as *oauthztest.Server) map[string]string {
	now := time.Now()
	user := func(name string, claims oauthztest.Claims) string {
		claims["sub"], claims["tenant"], claims["exp"] = name, "acme", now.Add(24*time.Hour)
		return as.Mint(claims)
	}
	return map[string]string{
		"ALICE": user("alice", oauthztest.Claims{"scope": "orders:read"}),
		"CLERK": user("clerk", oauthztest.Claims{"scope": "orders:read orders:write"}),
		"ADMIN": user("admin", oauthztest.Claims{
			"scope": "orders:read orders:write", "roles": []string{"admin"}, "auth_time": now,
		}),
		// The user of ADMIN, after a login yesterday.
		"TIRED": user("admin", oauthztest.Claims{
			"scope": "orders:read orders:write", "roles": []string{"admin"}, "auth_time": now.Add(-24 * time.Hour),
		}),
	}
}

// show prints the tokens, and for every curl line the answer of the API at base.
func show(ctx context.Context, out io.Writer, base string, tokens map[string]string, lines []curlLine) error {
	var b strings.Builder
	b.WriteString("To try the lines below in another terminal, paste these tokens there first:\n\n")
	for _, name := range []string{"ALICE", "CLERK", "ADMIN", "TIRED"} {
		fmt.Fprintf(&b, "export %s='%s'\n", name, tokens[name])
	}
	b.WriteByte('\n')
	// A transport of its own, without the proxies of the environment: the requests go to this machine.
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var broken []error
	for _, line := range lines {
		answer, status, err := line.ask(ctx, client, base, tokens)
		if err != nil {
			return fmt.Errorf("%s: %w", line.text, err)
		}
		if status != line.want {
			broken = append(broken, fmt.Errorf("%s: promised %d, got %d", line.text, line.want, status))
		}
		fmt.Fprintf(&b, "%s\n   %s\n", strings.ReplaceAll(line.text, "http://"+DefaultAddr, base), strings.Join(answer, "\n   "))
	}
	_, err := io.WriteString(out, b.String())
	return errors.Join(append(broken, err)...)
}
