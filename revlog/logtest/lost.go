package logtest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthz/oauthz/revlog"
)

// testOlderPositions: a position can be read from as long as its entry is there, and never when it is not, whatever was appended
// since.
func testOlderPositions(t *testing.T, store Store) {
	log := store.Open(t)
	positions := []string{""}
	for i := 1; i <= 5; i++ {
		must(t, "append", log.Append(t.Context(), numbered(i)))
		revs, position := rest(t, log, positions[i-1])
		wantNumbers(t, revs, i)
		positions = append(positions, position)
	}
	for i, position := range positions {
		revs, _ := rest(t, log, position)
		wantNumbers(t, revs, []int{1, 2, 3, 4, 5}[i:]...)
	}
	if store.Lose == nil {
		return
	}
	store.Lose(t, 2)
	wantTruncated(t, log, positions[4:])
	revs, _ := rest(t, log, positions[2])
	wantNumbers(t, revs, 3)
	must(t, "append", log.Append(t.Context(), numbered(6), numbered(7), numbered(8)))
	wantTruncated(t, log, positions[4:])
	for i, position := range positions[:4] {
		revs, _ := rest(t, log, position)
		wantNumbers(t, revs, []int{1, 2, 3, 6, 7, 8}[i:]...)
	}
	store.Lose(t, -1)
	wantTruncated(t, log, positions[1:])
	revs, _ = rest(t, log, "")
	wantNumbers(t, revs)
	must(t, "append", log.Append(t.Context(), numbered(9)))
	wantTruncated(t, log, positions[1:])
	revs, _ = rest(t, log, "")
	wantNumbers(t, revs, 9)
}

func wantTruncated(t *testing.T, log revlog.Log, positions []string) {
	t.Helper()
	for _, position := range positions {
		for _, wait := range []time.Duration{0, time.Second} {
			revs, _, err := log.Read(t.Context(), position, wait)
			if !errors.Is(err, revlog.ErrTruncated) || len(revs) > 0 {
				t.Fatalf("read from an entry that is gone: %d entries, %v", len(revs), err)
			}
		}
	}
}

// testLost: lists notice that entries vanish, report it and append them again. A list that is opened then knows all.
func testLost(t *testing.T, store Store) {
	if store.Lose == nil {
		t.Skip("the store cannot lose entries while it is open")
	}
	const entries, fleet = 30, 5
	var told [fleet]atomic.Int64
	var lists []*revlog.List
	for i := range fleet {
		lists = append(lists, openTold(t, store, &told[i]))
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
			before[i] = told[i].Load()
		}
		store.Lose(t, lose)
		for i, list := range lists {
			await(t, "ErrLost is reported", func() bool { return told[i].Load() > before[i] })
			await(t, "it is repaired", func() bool { return list.Health() == nil })
		}
		revs, _ := rest(t, store.Open(t), "")
		if len(revs) > entries+10 { // should two lists begin at the same moment
			t.Errorf("%d entries after %d of %d were lost", len(revs), lose, entries)
		}
		awaitRevoked(t, open(t, store.Open(t)), all...)
	}
}

// openTold opens a list that counts how often ErrLost is reported.
func openTold(t *testing.T, store Store, told *atomic.Int64) *revlog.List {
	t.Helper()
	list, err := revlog.Open(t.Context(), store.Open(t), revlog.Config{Poll: 100 * time.Millisecond, Timeout: 2 * time.Second, Report: func(err error) {
		if errors.Is(err, revlog.ErrLost) {
			told.Add(1)
		} else {
			t.Errorf("report: %v", err)
		}
	}})
	must(t, "open", err)
	t.Cleanup(func() { _ = list.Close() }) // never fails
	must(t, "ready", list.Ready(t.Context()))
	return list
}

// testRepeated: a token that is revoked many times, one after the other or at once, is one entry.
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
	revs, _ := rest(t, store.Open(t), "")
	wantNumbers(t, revs, 1, 2)
	rev.Expires = rev.Expires.Add(time.Second)
	must(t, "revoke for longer", list.Revoke(t.Context(), rev))
	revs, _ = rest(t, store.Open(t), "")
	wantNumbers(t, revs, 1, 2, 1)
}

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never happens that %s", what)
		}
	}
}
