// Package stage is what stands around the API of an example: the flags and the
// server, and for most of them a fake authorization server, a Guard that takes
// its tokens, and a client that sends the curl lines of the example's doc comment
// and looks at the answers. In a program of your own the authorization server is
// real, and there is no stage.
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

// audience is what the API is called in the tokens that are meant for it.
const audience = "https://orders.example"

// DefaultAddr is where an example listens, and what its curl lines say.
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

// Run is Main for tests: it serves until ctx is done, or with the flag -once
// until the curl lines are answered. Its error names those whose answer is not
// the promised one.
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
	defer cancel() // or the keys would be fetched for ever

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

// newGuard verifies the server's tokens here, and remembers what they say.
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

// mint makes the tokens of the users, by the variables that hold them in a
// shell. They are good for a day.
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
		// ADMIN, who logged in yesterday.
		"TIRED": user("admin", oauthztest.Claims{
			"scope": "orders:read orders:write", "roles": []string{"admin"}, "auth_time": now.Add(-24 * time.Hour),
		}),
	}
}

// show prints the tokens, then for every curl line what the API at base answers.
func show(ctx context.Context, out io.Writer, base string, tokens map[string]string, lines []curlLine) error {
	var b strings.Builder
	b.WriteString("To try the lines below in another terminal, paste these tokens there first:\n\n")
	for _, name := range []string{"ALICE", "CLERK", "ADMIN", "TIRED"} {
		fmt.Fprintf(&b, "export %s='%s'\n", name, tokens[name])
	}
	b.WriteByte('\n')
	// A transport of its own: the requests go to this machine, whatever the environment says of proxies.
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
