// Revocation shows that a token which is revoked on one instance is refused on all
// instances. It starts a fake authorization server and two instances of an API on
// two ports of this machine, which share one log of revocations. It logs a user out
// on one instance, revokes a token as an administrator, and prints the answers of
// the other instance and after how long they change. Then a third instance starts,
// which must learn all revocations from the log. From the root of the repository:
//
//	go run ./examples/revocation
//
// It then serves until it is interrupted. Flags:
//
//	-bolt file       the log is this file, which only one process can open; default: a file in a temporary folder
//	-redis address   the log is a stream of this Redis server, host:port
//	-postgres dsn    the log is a table of this PostgreSQL database
//	-once            exit after the story, with status 1 if an answer is not the expected one
//
// The code to copy is in api.go, and logs.go shows how to open each log.
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

	"github.com/oauthz/oauthz/revlog"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "revocation:", err)
		os.Exit(1)
	}
}

type options struct {
	store
	once bool
}

func parse(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("revocation", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.bolt, "bolt", "", "`file` of the log; default: one in a temporary folder")
	flags.StringVar(&o.redis, "redis", "", "`address` of a Redis server that has the log")
	flags.StringVar(&o.postgres, "postgres", "", "`dsn` of a PostgreSQL database that has the log")
	flags.BoolVar(&o.once, "once", false, "exit after the story")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, o.store.check()
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	log, closeLog, err := o.store.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	s := newStage(ctx, log)
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.tell(stdout); err != nil || o.once {
		return err
	}
	fmt.Fprintln(stdout, "Serving until interrupted (Ctrl-C).")
	<-ctx.Done()
	return nil
}

// An instance is a server with the API.
type instance struct {
	name, url string
	server    *http.Server
	api       *api
}

// newInstance serves on a free port of this machine.
func newInstance(ctx context.Context, name, issuer string, log revlog.Log) (*instance, error) {
	api, err := newAPI(ctx, issuer, log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, api.revoked.Close())
	}
	i := &instance{name, "http://" + listener.Addr().String(), &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}, api}
	go func() { _ = i.server.Serve(listener) }() // serves until Close
	return i, nil
}

func (i *instance) close() error { return errors.Join(i.server.Close(), i.api.revoked.Close()) }
