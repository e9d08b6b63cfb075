// Opaque shows an API whose tokens only the authorization server understands.
// It starts a fake authorization server and an API on loopback; the API asks
// the server what a token says (package remote), remembers the answer (package
// cache), and checks on each request what the route requires. For every outcome
// (allowed, allowed again from memory, insufficient scope, unknown token, logged
// out, server down, revoked) it sends the request and prints what came back, who
// answered for the token, how often the server was asked so far, and the curl
// line that does the same. From the root of the repository:
//
//	go run ./examples/opaque
//
// It then serves until it is interrupted, so that you can go on in another
// terminal. Flags:
//
//	-addr address   where the API listens; default 127.0.0.1:0, a free port
//	-once           exit after the table, with status 1 if an answer is not the promised one
//
// What to copy is in api.go. This file starts and stops servers, and demo.go
// plays the client.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, outcomes())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "opaque:", err)
		os.Exit(1)
	}
}

// run is the program. The rows are what it shows, and promises to be so.
func run(ctx context.Context, args []string, stdout io.Writer, rows []row) error {
	opts, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", opts.addr)
	if err != nil {
		return fmt.Errorf("%w (choose another -addr, or leave it out for a free port)", err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	s := newStage()
	defer s.as.Close()
	api, err := newAPI(ctx, s.config())
	if err != nil {
		return err
	}
	defer api.cache.Close()
	served := make(chan error, 1)
	go func() { served <- serve(ctx, listener, api) }()

	s.base = baseURL(listener.Addr())
	err = s.demonstrate(ctx, stdout, rows)
	if err == nil && !opts.once {
		err = s.invite(stdout)
	}
	if err != nil || opts.once {
		cancel()
	}
	return errors.Join(err, <-served)
}

type options struct {
	addr string
	once bool
}

func parse(args []string, stdout io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("opaque", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.StringVar(&opts.addr, "addr", "127.0.0.1:0", "`address` that the API listens on; port 0 is a free one")
	flags.BoolVar(&opts.once, "once", false, "exit after the table, with status 1 if an answer is not the promised one")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return opts, nil
}

// serve answers requests until ctx is done, and lets those under way finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		// ctx is done already; a client that dawdles must not keep us for ever.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		drained <- server.Shutdown(ctx)
	}()
	// Serve returns as soon as Shutdown begins, which is too early to leave.
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

// baseURL is how a client on this machine reaches a server that listens at addr:
// 0.0.0.0 and :: are places to listen, not to call.
func baseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
