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

// Options are the values of the flags of an example.
type Options struct {
	Addr string // the address to listen on
	Once bool   // exit after the demonstration, instead of serving until interrupted
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

// Serve serves requests until ctx is done. Then it waits for in-flight requests.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		// Not derived from ctx, which is done. The timeout is for slow clients.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		drained <- server.Shutdown(ctx)
	}()
	// Serve returns as soon as Shutdown begins, so the program must wait for its end.
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

// BaseURL returns the URL at which a client on this machine reaches a server that
// listens on addr: 0.0.0.0 and :: are addresses to listen on, not to connect to.
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
