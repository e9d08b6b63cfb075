package logtest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthz/oauthz/revlog"
)

// testOlderPositions: a reader can read from a position as long as its entry is in the log, and
// never when it is not, no matter which entries were appended since.
func testOlderPositions(t *testing.T, store Store) {
	log := store.Open(t)
	positions := []string{""}
	for i := 1; i <= 5; i++ {
		must(t, "append", log.Append(t.Context(), numbered(i)))
		revs, position := readAll(t, log, positions[i-1])
		wantNumbers(t, revs, i)
		positions = append(positions, position)
	}
	for i, position := range positions {
		revs, _ := readAll(t, log, position)
		wantNumbers(t, revs, []int{1, 2, 3, 4, 5}[i:]...)
	}
	if store.Lose == nil {
		return
	}
	store.Lose(t, 2)
	wantTruncated(t, log, positions[4:])
	revs, _ := readAll(t, log, positions[2])
	wantNumbers(t, revs, 3)
	must(t, "append", log.Append(t.Context(), numbered(6), numbered(7), numbered(8)))
	wantTruncated(t, log, positions[4:])
	for i, position := range positions[:4] {
		revs, _ := readAll(t, log, position)
		wantNumbers(t, revs, []int{1, 2, 3, 6, 7, 8}[i:]...)
	}
	store.Lose(t, -1)
	wantTruncated(t, log, positions[1:])
	revs, _ = readAll(t, log, "")
	wantNumbers(t, revs)
	must(t, "append", log.Append(t.Context(), numbered(9)))
	wantTruncated(t, log, positions[1:])
	revs, _ = readAll(t, log, "")
	wantNumbers(t, revs, 9)
}

func wantTruncated(t *testing.T, log revlog.Log, positions []string) {
	t.Helper()
	for _, position := range positions {
		for _, wait := range []time.Duration{0, time.Second} {
			revs, _, err := log.Read(t.Context(), position, wait)
			if !errors.Is(err, revlog.ErrTruncated) || len(revs) > 0 {
				t.Fatalf("read from the position of a lost entry: %d entries, %v", len(revs), err)
			}
		}
	}
}

// testLost: a fleet of lists detects lost entries, reports them and appends them again. A list that
// is opened afterwards has all of them.
func testLost(t *testing.T, store Store) {
	if store.Lose == nil {
		t.Skip("the store cannot lose entries while it is open")
	}
	const entries, fleet = 30, 5
	var losses [fleet]atomic.Int64
	var lists []*revlog.List
	for i := range fleet {
		lists = append(lists, openCountingLosses(t, store, &losses[i]))
	}
	var all []int
	for i := range entries {
		must(t, "revoke", lists[i%fleet].Revoke(t.Context(), numbered(i)))
		all = append(all, i)
	}
	for _, lose := range []int{10, -1} {
		var before [fleet]int64
		for i, list := range lists {
			awaitRevoked(t, list, all...)
			before[i] = losses[i].Load()
		}
		store.Lose(t, lose)
		// A list that reads on after another list has restored the log misses no entry, and reports nothing.
		await(t, "a list reports ErrLost", func() bool {
			return slices.ContainsFunc(all[:fleet], func(i int) bool { return losses[i].Load() > before[i] })
		})
		awaitRevoked(t, open(t, store.Open(t)), all...)
		for _, list := range lists {
			await(t, "the list is healthy", func() bool { return list.Health() == nil })
		}
		revs, _ := readAll(t, store.Open(t), "")
		if len(revs) > 2*entries { // two lists may begin at the same moment
			t.Errorf("%d entries after %d of %d were lost", len(revs), lose, entries)
		}
	}
}

// openCountingLosses opens a list that counts how often ErrLost is reported.
func openCountingLosses(t *testing.T, store Store, losses *atomic.Int64) *revlog.List {
	t.Helper()
	list, err := revlog.Open(t.Context(), store.Open(t), revlog.Config{Poll: 100 * time.Millisecond, Timeout: 2 * time.Second, Report: func(err error) {
		if errors.Is(err, revlog.ErrLost) {
			losses.Add(1)
		} else {
			t.Errorf("report: %v", err)
		}
	}})
	must(t, "open", err)
	t.Cleanup(func() { _ = list.Close() }) // never fails
	must(t, "ready", list.Ready(t.Context()))
	return list
}

// testRepeated: a token that is revoked many times, in sequence or concurrently, is one entry.
func testRepeated(t *testing.T, store Store) {
	list, rev := open(t, store.Open(t)), numbered(1)
	for range 100 {
		must(t, "revoke", list.Revoke(t.Context(), rev))
	}
	other := numbered(2)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := list.Revoke(t.Context(), other); err != nil {
				t.Errorf("revoke: %v", err)
			}
		})
	}
	wg.Wait()
	revs, _ := readAll(t, store.Open(t), "")
	wantNumbers(t, revs, 1, 2)
	rev.Expires = rev.Expires.Add(time.Second)
	must(t, "revoke for longer", list.Revoke(t.Context(), rev))
	revs, _ = readAll(t, store.Open(t), "")
	wantNumbers(t, revs, 1, 2, 1)
}

// await blocks until a condition is met.
func await(t testing.TB, condition string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !met(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("this did not happen: %s", condition)
		}
	}
}
