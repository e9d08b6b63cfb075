// Package figures turns measurements into medians, ratios, tables, and a chart.
package figures

import (
	"slices"
	"strconv"
)

// The names of the benchmarks.
const (
	Bare       = "BareVerification" // the signature alone, by the standard library
	NewToken   = "NewToken"         // a JWT that is in no cache
	SeenToken  = "SeenToken"        // a JWT that was seen before
	NewOpaque  = "NewOpaque"        // an opaque token, the authorization server is asked
	SeenOpaque = "SeenOpaque"       // an opaque token that was seen before
	Framework  = "Framework"        // a JWT that was seen before, through web frameworks
)

// A Key identifies a measurement. Fields that a benchmark does not use are zero.
type Key struct {
	Benchmark  string
	Algorithm  string // of the token's signature
	Guard      string // "off" or "on"
	Goroutines int    // that make requests at once
	By         string // who did it: the one thing that benchstat -col compares
}

// Name is the key as the benchmarks of package testing are called, for benchstat to take apart.
func (k Key) Name() string { return k.Benchmark + "/" + k.Sub() }

// Sub is Name without the benchmark.
func (k Key) Sub() string {
	name := ""
	for _, part := range []struct{ key, value string }{
		{"alg", k.Algorithm}, {"guard", k.Guard}, {"goroutines", strconv.Itoa(k.Goroutines)},
	} {
		if part.value != "" {
			name += part.key + "=" + part.value + "/"
		}
	}
	return name + "by=" + k.By
}

// A Figure is the median of the rounds of a key.
type Figure struct {
	Key
	Ns     float64 // per request
	Allocs int64   // per request
}

// Summarize makes the figure of a key, of one value a round. Without any there is no figure.
func Summarize(key Key, ns []float64, allocs []int64) (f Figure, ok bool) {
	if len(ns) == 0 || len(allocs) == 0 {
		return Figure{}, false
	}
	counts := make([]float64, len(allocs))
	for i, n := range allocs {
		counts[i] = float64(n)
	}
	return Figure{Key: key, Ns: Median(ns), Allocs: int64(Median(counts))}, true
}

// Median is the middle of values, or the mean of the two in the middle; 0 of none. It leaves values as they are.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}

// find returns the figure of a key.
func find(all []Figure, key Key) (Figure, bool) {
	i := slices.IndexFunc(all, func(f Figure) bool { return f.Key == key })
	if i < 0 {
		return Figure{}, false
	}
	return all[i], true
}
