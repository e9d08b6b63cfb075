package figures

import (
	"cmp"
	"fmt"
	"slices"
)

// A Bar is a goal of the project for a figure, and the value of the figure.
type Bar struct {
	Work    string
	Value   float64
	Limit   float64
	AtLeast bool // Value is to be Limit or more; else, Limit or less
}

// Met reports whether the figure clears the bar.
func (b Bar) Met() bool {
	if b.AtLeast {
		return b.Value >= b.Limit
	}
	return b.Value <= b.Limit
}

// String returns the bar as one line.
func (b Bar) String() string {
	relation, verdict := "at most", "met"
	if b.AtLeast {
		relation = "at least"
	}
	if !b.Met() {
		verdict = "NOT MET"
	}
	return fmt.Sprintf("%s: %s (%s %s) %s", b.Work, Ratio(b.Value), relation, Ratio(b.Limit), verdict)
}

// Bars judges the figures: those of RS256, one request at a time. What was not measured is not judged.
func Bars(all []Figure) []Bar {
	at := Key{Algorithm: "RS256", Goroutines: 1, By: "oauthz"}
	seen, haveSeen := find(all, at.of(SeenToken))
	fresh, haveFresh := find(all, at.of(NewToken))
	peer, havePeer := fastestPeer(all, at.of(NewToken))
	at.By = "crypto"
	bare, haveBare := find(all, at.of(Bare))
	var bars []Bar
	if haveSeen && havePeer {
		bars = append(bars, Bar{
			Work: "the fastest peer's new token (" + peer.By + ") / our seen token", Value: peer.Ns / seen.Ns, Limit: 25, AtLeast: true,
		})
	}
	if haveFresh && havePeer {
		bars = append(bars, Bar{
			Work: "our new token / the fastest peer's (" + peer.By + ")", Value: fresh.Ns / peer.Ns, Limit: 1.05,
		})
	}
	if haveFresh && haveBare {
		bars = append(bars, Bar{Work: "our new token / the signature alone", Value: fresh.Ns / bare.Ns, Limit: 1.4})
	}
	return append(bars, frameworkBars(all)...)
}

// frameworkBars compare what the guard adds to a route: the routing of a framework is its own.
func frameworkBars(all []Figure) []Bar {
	plain, ok := guardAdds(all, "nethttp")
	if !ok {
		return nil
	}
	var bars []Bar
	for _, f := range all {
		if f.Benchmark != Framework || f.Guard != "on" || f.By == "nethttp" {
			continue
		}
		if added, ok := guardAdds(all, f.By); ok {
			bars = append(bars, Bar{Work: "what the guard adds in " + f.By + " / in net/http", Value: added / plain, Limit: 1.1})
		}
	}
	return bars
}

// of is the key for another benchmark.
func (k Key) of(benchmark string) Key {
	k.Benchmark = benchmark
	return k
}

// fastestPeer is the fastest of peersOf.
func fastestPeer(all []Figure, ours Key) (Figure, bool) {
	others := peersOf(all, ours)
	if len(others) == 0 {
		return Figure{}, false
	}
	return slices.MinFunc(others, func(a, b Figure) int { return cmp.Compare(a.Ns, b.Ns) }), true
}

// peersOf are the figures that differ from ours in By alone.
func peersOf(all []Figure, ours Key) []Figure {
	var others []Figure
	for _, f := range all {
		key := f.Key
		key.By = ours.By
		if key == ours && f.By != ours.By {
			others = append(others, f)
		}
	}
	return others
}
