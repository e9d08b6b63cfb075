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
	"os"
	"os/signal"
	"syscall"

	"github.com/oauthz/oauthz/examples/stage"
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
	opts, err := stage.Parse("opaque", "127.0.0.1:0", args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return fmt.Errorf("%w (choose another -addr, or leave it out for a free port)", err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	s := newPlay()
	defer s.as.Close()
	api, err := newAPI(ctx, s.config())
	if err != nil {
		return err
	}
	defer api.cache.Close()
	served := make(chan error, 1)
	go func() { served <- stage.Serve(ctx, listener, api) }()

	s.base = stage.BaseURL(listener.Addr())
	err = s.demonstrate(ctx, stdout, rows)
	if err == nil && !opts.Once {
		err = s.invite(stdout)
	}
	if err != nil || opts.Once {
		cancel()
	}
	return errors.Join(err, <-served)
}
