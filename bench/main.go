// Bench puts this library beside its peers in one run, each by its own published package, and prints what a request costs
// through each of them. From the root of the repository:
//
//	go run ./bench
//	go run ./bench -markdown bench/figures.md -svg bench/figures.svg    # as they are committed; about ten minutes
//	go test -run '^$' -bench NewToken -count 10 ./bench > new.txt       # the same cases, for benchstat -col /by new.txt
//
// Flags:
//
//	-rounds n        how often each case is measured; the median counts; default 10
//	-time duration   how long each measurement takes, at least; default 200ms
//	-run regexp      measure only the cases whose name matches, as in NewToken/alg=RS256/goroutines=1/by=oauthz
//	-markdown file   write the tables there too
//	-svg file        write a chart there
//
// # What is measured
//
// A request through a handler that is protected, called as net/http calls it, without a network. Its JWT has about 700
// bytes (with RS256) and 9 claims.
//
//   - BareVerification: the signature, by the standard library, and nothing else. No library can be faster with a new token.
//   - NewToken: a JWT that is in no cache. Ours is package localjwt, without a cache.
//   - SeenToken: a JWT that was seen before. Ours is package cache over localjwt; the peers have no cache, and verify it again.
//   - NewOpaque and SeenOpaque: an opaque token, of an authorization server on loopback that takes 1 ms to answer. Ours is
//     package remote, without and with the cache. Few peers can do this at all: the code beside it is written by hand over
//     net/http, once alone and once as the verifier that the MCP SDK requires. The server runs in the same process, so its
//     work is in the time and allocations of all.
//   - Framework: the guard in net/http and in each framework by its adapter, and the bare route for comparison: the guard is
//     responsible for the difference, not for the time of the router.
//
// With 8 at once the time is the elapsed time divided by the number of requests, not the latency of one request.
//
// # How it is fair
//
//   - All get the same tokens and check the same: signature, issuer, audience, expiry, one scope; the subject has to reach the
//     handler through the request's context. A test sends every entry a good token, a forged one, and one with each of these
//     wrong. The other flaws that some peers let through are in [peers.JWT] and under the table; a test sends those as well.
//   - Each peer is set up as its documentation has it, by the fastest way that it documents; parsers, key sets and options are
//     made once. Keys are fetched before anything is timed.
//   - The cases take turns, round after round, so that a noisy minute hits all of them.
//   - Versions are the newest that a module of Go 1.25.0 can require, as go.mod has them: hashicorp/cap is at v0.14.0,
//     because v0.15.0 requires go 1.25.13.
//   - Most programs over golang-jwt use a map of claims (byhand). A struct is measured as well (byhand-struct).
//
// Other work of the machine changes ratios too, but less than times: run it on an idle machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/oauthz/oauthz/bench/internal/cases"
	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program. An interrupt ends it between two measurements, without figures.
func run(ctx context.Context, args []string, stdout, progress io.Writer) error {
	opts, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	suite, err := cases.New(ctx)
	if err != nil {
		return err
	}
	defer suite.Close()
	all, err := measure(ctx, opts, suite.Cases, progress)
	if err != nil {
		return err
	}
	return report(opts, all, stdout)
}

type options struct {
	rounds        int
	each          time.Duration
	only          *regexp.Regexp
	markdown, svg string
}

func parse(args []string, stdout io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.IntVar(&opts.rounds, "rounds", 10, "how often each case is measured: the median counts")
	flags.DurationVar(&opts.each, "time", 200*time.Millisecond, "how long a measurement takes, at least")
	only := flags.String("run", "", "measure only the cases whose name matches the `regexp`")
	flags.StringVar(&opts.markdown, "markdown", "", "write the tables to this `file` too")
	flags.StringVar(&opts.svg, "svg", "", "write a chart to this `file`")
	if err := flags.Parse(args); err != nil {
		return options{}, fmt.Errorf("flags: %w", err)
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("flags: unexpected argument %q", flags.Arg(0))
	}
	if opts.rounds < 1 || opts.each <= 0 {
		return options{}, errors.New("flags: rounds and time have to be positive")
	}
	var err error
	if opts.only, err = regexp.Compile(*only); err != nil {
		return options{}, fmt.Errorf("flags: run: %w", err)
	}
	return opts, nil
}

// report prints the figures, and writes the files that are asked for.
func report(opts options, all []figures.Figure, stdout io.Writer) error {
	on := fmt.Sprintf("%s; rounds of %v: %d", machine(), opts.each, opts.rounds)
	grids := figures.Grids(all)
	fmt.Fprintln(stdout, on)
	if err := figures.WriteText(stdout, grids); err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	for _, bar := range figures.Bars(all) {
		fmt.Fprintln(stdout, bar)
	}
	return errors.Join(
		write(opts.markdown, func(w io.Writer) error { return figures.WriteMarkdown(w, on, grids, notes(peers.JWT())) }),
		write(opts.svg, func(w io.Writer) error { return figures.WriteSVG(w, figures.NewChart(on, all)) }),
	)
}

// write makes a file, if it has a name.
func write(name string, content func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("figures: %w", err)
	}
	if err := errors.Join(content(file), file.Close()); err != nil {
		return fmt.Errorf("figures: %s: %w", name, err)
	}
	return nil
}
