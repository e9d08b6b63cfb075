package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

var errUsage = errors.New("usage: release verify | stranger | tag [-write] SET VERSION")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	repo, err := open(".")
	if err != nil {
		return err
	}
	if err := repo.verify(); err != nil {
		return err
	}
	switch command, args := args[0], args[1:]; {
	case command == "verify" && len(args) == 0:
		fmt.Fprintf(out, "versions.txt and %d go.mod files agree\n", len(repo.modules))
		return nil
	case command == "stranger" && len(args) == 0:
		return repo.stranger(out)
	case command == "tag":
		flags := flag.NewFlagSet("tag", flag.ContinueOnError)
		write := flags.Bool("write", false, "change files, commit and tag")
		if err := flags.Parse(args); err != nil {
			return err
		}
		if flags.NArg() != 2 {
			return errUsage
		}
		return repo.tag(out, flags.Arg(0), flags.Arg(1), *write)
	default:
		return errUsage
	}
}
