package revindex_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/oauthz/oauthz/internal/revindex"
)

const leeway = 5 * time.Minute

// epoch is the time of tests that do not wait.
var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// claims are the claims of a token. A claim of several values is an array.
type claims map[string][]revindex.Value

func (c claims) Values(name string) (first revindex.Value, more []revindex.Value, ok bool) {
	switch values := c[name]; len(values) {
	case 0:
		return first, nil, false
	case 1:
		return values[0], nil, true
	default:
		return values[0], values[1:], true
	}
}

// list is the Index that its writer uses at present.
type list struct{ *revindex.Index }

func newList() *list { return &list{revindex.New(leeway, 1)} }

// add adds entries. settled is a time that has certainly passed.
func (l *list) add(t testing.TB, settled time.Time, entries ...revindex.Entry) {
	size := 0
	for i := range entries {
		size += entries[i].Size()
	}
	l.Index = l.WithRoom(len(entries), int64(size), settled)
	if l.Index == nil { // the benchmarks add millions: an assertion for each would be what they measure
		t.Fatal("the index is full")
	}
	for _, e := range entries {
		l.Add(e, settled)
	}
}

// key returns a Key. pairs are names, in order, each with its value.
func key(issuer string, pairs ...string) revindex.Key {
	k := revindex.Key{Issuer: issuer}
	for pair := range slices.Chunk(pairs, 2) {
		k.Names, k.Values = append(k.Names, pair[0]), append(k.Values, revindex.String(pair[1]))
	}
	return k
}

// at returns a clock that stands still.
func at(now time.Time) func() time.Time { return func() time.Time { return now } }

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
