// Opaque shows an API with opaque tokens, whose claims only the authorization server
// knows. It starts a fake authorization server and an API on loopback. The API
// introspects a token at the server (package remote), caches the result (package
// cache), and checks the requirements of the route on each request. For every
// outcome (allowed, allowed again from the cache, insufficient scope, unknown token,
// logged out, server down, revoked) it sends a request and prints the response, the
// source of the result, the number of introspection requests so far, and the curl
// line that does the same. From the root of the repository:
//
//	go run ./examples/opaque
//
// It then serves until it is interrupted, so that you can continue in another
// terminal. Flags:
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

// run is the program. The rows are the requests that it sends and their expected
// answers.
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
