// Quickstart shows the answers of an API that oauthz protects. It starts a fake
// authorization server and an API on loopback. For every outcome (allowed, no token,
// malformed, expired, wrong audience, insufficient scope, issuer unreachable) it
// sends a request and prints the response, with the curl line that does the same.
// From the root of the repository:
//
//	go run ./examples/quickstart
//
// It then serves until it is interrupted, so that the lines can be tried in
// another terminal. Flags:
//
//	-addr address   the address on which the API listens; default 127.0.0.1:0, a free port
//	-once           exit after the table, with status 1 if an answer is not the expected one
//
// The code to copy is in api.go. This file starts and stops servers, and demo.go is
// the client.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
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
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run is the program. The rows are the requests that it sends and their expected
// answers.
func run(ctx context.Context, args []string, stdout io.Writer, rows []row) error {
	opts, err := stage.Parse("quickstart", "127.0.0.1:0", args, stdout)
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
	defer cancel() // otherwise the fetching of the keys would never end

	issuers := startIssuers()
	defer issuers.close()
	// One of the issuers is down on purpose: its warnings would hide the table.
	logger := slog.New(slog.DiscardHandler)
	api, err := newAPI(ctx, issuers.own.Issuer(), issuers.partner.Issuer(), logger)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- stage.Serve(ctx, listener, api) }()

	err = demonstrate(ctx, stdout, stage.BaseURL(listener.Addr()), issuers, rows)
	if err == nil && !opts.Once {
		_, err = fmt.Fprintln(stdout, "Serving until interrupted (Ctrl-C).")
	}
	if err != nil || opts.Once {
		cancel()
	}
	return errors.Join(err, <-served)
}
