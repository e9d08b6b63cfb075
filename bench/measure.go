package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/oauthz/oauthz/bench/internal/cases"
	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
)

// measure runs the cases by turns, round after round, and returns their medians in the order of the cases.
func measure(ctx context.Context, opts options, all []cases.Case, progress io.Writer) ([]figures.Figure, error) {
	selected := selectedFrom(all, opts)
	if len(selected) == 0 {
		return nil, fmt.Errorf("no case matches %q", opts.only)
	}
	// testing.Benchmark takes its time from the flag of go test, which only exists after Init.
	testing.Init()
	if err := flag.Set("test.benchtime", opts.each.String()); err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	ns, allocs := make([][]float64, len(selected)), make([][]int64, len(selected))
	for round := range opts.rounds {
		fmt.Fprintf(progress, "round %d of %d, %d cases\n", round+1, opts.rounds, len(selected))
		for i, c := range selected {
			if ctx.Err() != nil {
				return nil, errors.New("interrupted")
			}
			result := testing.Benchmark(c.Run)
			if result.N == 0 { // b.Fatal
				return nil, fmt.Errorf("measure: %s failed", c.Name())
			}
			ns[i] = append(ns[i], float64(result.T.Nanoseconds())/float64(result.N))
			allocs[i] = append(allocs[i], result.AllocsPerOp())
		}
	}
	var medians []figures.Figure
	for i, c := range selected {
		if f, ok := figures.Summarize(c.Key, ns[i], allocs[i]); ok {
			medians = append(medians, f)
		}
	}
	return medians, nil
}

func selectedFrom(all []cases.Case, opts options) []cases.Case {
	var selected []cases.Case
	for _, c := range all {
		if opts.only.MatchString(c.Name()) {
			selected = append(selected, c)
		}
	}
	return selected
}

// machine describes the hardware and software on which the figures were made, without the name of the machine.
func machine() string {
	s := fmt.Sprintf("%s %s/%s, GOMAXPROCS %d", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	if model := processor(); model != "" {
		s += ", " + model
	}
	return s
}

// processor returns the model of the processor if the system has it in a file, as Linux does.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// notes returns the version of each peer and the flaws that it lets through.
func notes(all []peers.Peer) []figures.Note {
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			versions[module.Path] = module.Version
		}
	}
	var out []figures.Note
	for _, p := range all {
		if p.Module != "" {
			out = append(out, figures.Note{
				Name: p.Name, Module: p.Module, Version: versions[p.Module], Unchecked: p.Unchecked, Remark: p.Remark,
			})
		}
	}
	return out
}
