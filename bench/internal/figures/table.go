package figures

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Dash stands where there is nothing to show: a peer that cannot do an algorithm.
const Dash = "–"

// A Grid is a table of figures: the cost of a request, and beside it the ratio to ours.
type Grid struct {
	Title  string
	Header []string
	Rows   [][]string
}

// kinds are the benchmarks in the order in which they are shown. Each has a row that the others are compared with.
var kinds = []struct{ benchmark, base, title string }{
	{SeenToken, "oauthz", "A JWT that was seen before (the peers have no cache, and verify it again)"},
	{NewToken, "oauthz", "A JWT that is new (without our cache)"},
	{Bare, "", "The signature alone, by the standard library"},
	{SeenOpaque, "oauthz", "An opaque token that was seen before, of a server that takes 1 ms to answer (the peers ask it again)"},
	{NewOpaque, "oauthz", "An opaque token that is new, of a server that takes 1 ms to answer"},
	{Framework, "nethttp", "A JWT that was seen before, in web frameworks: a route without the guard and with it"},
}

// Grids makes the tables of all benchmarks that there are figures of.
func Grids(all []Figure) []Grid {
	var grids []Grid
	for _, kind := range kinds {
		of := slices.DeleteFunc(slices.Clone(all), func(f Figure) bool { return f.Benchmark != kind.benchmark })
		if len(of) > 0 {
			grids = append(grids, grid(kind.title, kind.base, of))
		}
	}
	return grids
}

// grid makes the table of one benchmark: a row for each By, a column for all else, the first numbers of goroutines first.
func grid(title, base string, of []Figure) Grid {
	rows, columns := axes(of)
	g := Grid{Title: title, Header: []string{""}}
	for _, column := range columns {
		g.Header = append(g.Header, heading(column))
	}
	// Goroutines make no difference to allocations, and algorithms little; a guard does.
	counted := columns[0]
	framework := of[0].Benchmark == Framework
	if framework {
		counted = columns[len(columns)-1]
		g.Header = append(g.Header, "the guard adds")
	}
	g.Header = append(g.Header, "allocations")
	for _, by := range rows {
		row := []string{by}
		for _, column := range columns {
			row = append(row, cell(of, column, by, base))
		}
		if framework {
			row = append(row, addedCell(of, by, base))
		}
		g.Rows = append(g.Rows, append(row, allocations(of, counted, by)))
	}
	return g
}

// axes are what the rows and the columns of a grid stand for.
func axes(of []Figure) (rows []string, columns []Key) {
	for _, f := range of {
		column := f.Key
		column.By = ""
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		if !slices.Contains(rows, f.By) {
			rows = append(rows, f.By)
		}
	}
	slices.SortStableFunc(columns, func(a, b Key) int { return a.Goroutines - b.Goroutines })
	return rows, columns
}

// heading returns the heading of a column: "RS256", "RS256, 8 at once", "with".
func heading(column Key) string {
	var parts []string
	switch {
	case column.Algorithm != "":
		parts = append(parts, column.Algorithm)
	case column.Guard != "":
		parts = append(parts, "guard "+column.Guard)
	}
	if column.Goroutines > 1 || len(parts) == 0 {
		parts = append(parts, strconv.Itoa(column.Goroutines)+" at once")
	}
	return strings.Join(parts, ", ")
}

func cell(of []Figure, column Key, by, base string) string {
	column.By = by
	f, ok := find(of, column)
	if !ok {
		return Dash
	}
	column.By = base
	ours, ok := find(of, column)
	if !ok || by == base {
		return Duration(f.Ns)
	}
	return Duration(f.Ns) + " (" + Ratio(f.Ns/ours.Ns) + ")"
}

func addedCell(of []Figure, by, base string) string {
	added, ok := guardAdds(of, by)
	if !ok {
		return Dash
	}
	plain, ok := guardAdds(of, base)
	if !ok || by == base {
		return Duration(added)
	}
	return Duration(added) + " (" + Ratio(added/plain) + ")"
}

// guardAdds returns the time of a framework with the guard minus the time without it.
func guardAdds(all []Figure, by string) (ns float64, ok bool) {
	on, haveOn := find(all, Key{Benchmark: Framework, Guard: "on", Goroutines: 1, By: by})
	off, haveOff := find(all, Key{Benchmark: Framework, Guard: "off", Goroutines: 1, By: by})
	return on.Ns - off.Ns, haveOn && haveOff
}

func allocations(of []Figure, column Key, by string) string {
	column.By = by
	f, ok := find(of, column)
	if !ok {
		return Dash
	}
	return strconv.FormatInt(f.Allocs, 10)
}

// Duration writes nanoseconds with three digits: "2.41 µs".
func Duration(ns float64) string {
	switch {
	case ns >= float64(time.Millisecond):
		return digits(ns/float64(time.Millisecond)) + " ms"
	case ns >= float64(time.Microsecond):
		return digits(ns/float64(time.Microsecond)) + " µs"
	default:
		return digits(ns) + " ns"
	}
}

// Ratio writes how many times something is something else: "1.14×".
func Ratio(r float64) string { return digits(r) + "×" }

func digits(x float64) string {
	switch {
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
}

// WriteText writes grids for a terminal.
func WriteText(w io.Writer, grids []Grid) error {
	for _, g := range grids {
		if _, err := fmt.Fprintf(w, "\n%s\n", g.Title); err != nil {
			return fmt.Errorf("figures: text: %w", err)
		}
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
		for _, row := range append([][]string{g.Header}, g.Rows...) {
			fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
		}
		if err := table.Flush(); err != nil {
			return fmt.Errorf("figures: text: %w", err)
		}
	}
	return nil
}
