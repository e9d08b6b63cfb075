package stage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Options are what the flags of an example say.
type Options struct {
	Addr string // where to listen
	Once bool   // and not to serve until interrupted
}

// Parse reads the flags of the program name, whose default address is addr.
func Parse(name, addr string, args []string, output io.Writer) (Options, error) {
	var opts Options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&opts.Addr, "addr", addr, "`address` that the API listens on; port 0 is a free one")
	flags.BoolVar(&opts.Once, "once", false, "exit after the demonstration, with status 1 if an answer is not the promised one")
	if err := flags.Parse(args); err != nil {
		return Options{}, err
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return opts, nil
}

// Serve answers requests until ctx is done, and lets those under way finish.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
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

// BaseURL is how a client on this machine reaches a server that listens at addr:
// 0.0.0.0 and :: are places to listen, not to call.
func BaseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
