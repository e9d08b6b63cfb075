// Package logtest is the suite that every [revlog.Log] must pass: order, resumption, concurrent
// writers, duplicates, expiry, cancelled contexts, a store that is killed while it is written
// to, and a store that loses entries.
package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// Store is an empty store that the logs of one test share.
type Store struct {
	// Open returns a log on the store. If the store has clients, each call returns a new
	// client.
	Open func(t testing.TB) revlog.Log
	// Kill ends the store without a warning, as SIGKILL does. Start starts it again with the
	// same data at the same address. Both are nil for a store that runs in the process: it is
	// not killed, and the log has a test of its own for that.
	Kill, Start func(t testing.TB)
	// Lose removes the newest n entries without the knowledge of the log, as a failover to a
	// replica that was behind does. If n is negative, it removes all entries, as FLUSHALL or
	// TRUNCATE do. Nil for a store that cannot lose entries while it is open.
	Lose func(t testing.TB, n int)
}

// issuer is the issuer of all revocations in the suite.
const issuer = "https://login.example.com"

// patience is the limit, on a slow machine, for everything that should happen at once.
const patience = time.Minute

// Run runs the suite. It calls newStore for each test of the suite.
func Run(t *testing.T, newStore func(t *testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, store Store)
	}{
		{"Empty", testEmpty},
		{"Order", testOrder},
		{"EntriesUnchanged", testEntriesUnchanged},
		{"Resume", testResume},
		{"Wait", testWait},
		{"AllOrNone", testAllOrNone},
		{"Duplicates", testDuplicates},
		{"Repeated", testRepeated},
		{"Expiry", testExpiry},
		{"Cancelled", testCancelled},
		{"InvalidPosition", testInvalidPosition},
		{"ConcurrentWriters", testConcurrentWriters},
		{"OlderPositions", testOlderPositions},
		{"Lost", testLost},
		{"Kill", testKill},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newStore(t)) })
	}
}

// numbered returns the i-th revocation.
func numbered(i int) oauthz.Revocation {
	return oauthz.Revocation{
		Match:   map[string]any{"iss": issuer, "jti": fmt.Sprintf("%08d", i)},
		Expires: time.Now().Add(time.Hour).UTC().Round(0),
	}
}

// number returns the i of a revocation that numbered(i) made.
func number(t testing.TB, rev oauthz.Revocation) int {
	t.Helper()
	var i int
	if _, err := fmt.Sscanf(fmt.Sprint(rev.Match["jti"]), "%d", &i); err != nil {
		t.Fatalf("an unknown entry: %v", rev.Match)
	}
	return i
}

func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

// readAll reads from a position until there are no more entries. For a Batcher it also checks
// that a Read of fewer entries than Batch has returned all of them.
func readAll(t testing.TB, log revlog.Log, position string) (revs []oauthz.Revocation, next string) {
	t.Helper()
	batcher, ok := log.(revlog.Batcher)
	for last := false; ; {
		some, next, err := log.Read(t.Context(), position, 0)
		must(t, "read", err)
		if ok && (last && len(some) > 0 || len(some) > batcher.Batch()) {
			t.Fatalf("%d entries with a Batch of %d; after a Read of fewer entries: %v", len(some), batcher.Batch(), last)
		}
		last = ok && len(some) < batcher.Batch()
		if len(some) == 0 {
			return revs, next
		}
		if next == position {
			t.Fatal("entries without a new position")
		}
		revs, position = append(revs, some...), next
	}
}

func wantNumbers(t testing.TB, revs []oauthz.Revocation, want ...int) {
	t.Helper()
	var got []int
	for _, rev := range revs {
		got = append(got, number(t, rev))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got entries %v, want %v", got, want)
	}
}

func testEmpty(t *testing.T, store Store) {
	log := store.Open(t)
	revs, position := readAll(t, log, "")
	wantNumbers(t, revs)
	revs, position = readAll(t, log, position)
	wantNumbers(t, revs)
	must(t, "append nothing", log.Append(t.Context()))
	must(t, "append", log.Append(t.Context(), numbered(1)))
	revs, _ = readAll(t, log, position)
	wantNumbers(t, revs, 1)
}

func testOrder(t *testing.T, store Store) {
	log := store.Open(t)
	var want []int
	for i := 0; i < 3000; {
		var batch []oauthz.Revocation
		for range 1 + i%700 {
			batch, want, i = append(batch, numbered(i)), append(want, i), i+1
		}
		must(t, "append", log.Append(t.Context(), batch...))
	}
	revs, _ := readAll(t, store.Open(t), "")
	wantNumbers(t, revs, want...)
}

// testEntriesUnchanged: an entry is read as it was written, to the last digit and nanosecond.
func testEntriesUnchanged(t *testing.T, store Store) {
	log := store.Open(t)
	at := time.Date(2026, 11, 22, 1, 2, 3, 456789012, time.FixedZone("", 3600))
	written := []oauthz.Revocation{
		{Match: map[string]any{"iss": issuer, "n": json.Number("9007199254740993"), "s": "7", "b": true, "e": 1.5e300}, Expires: time.Now().Add(time.Hour)},
		{Match: map[string]any{"iss": issuer, "sub": "ü \x00 \" ' \\ \u2028 😀"}, IssuedUntil: at, At: at, Expires: time.Now().Add(time.Hour), Reason: "a\nreason"},
	}
	must(t, "append", log.Append(t.Context(), written...))
	read, _ := readAll(t, log, "")
	if got, want := asJSON(t, read), asJSON(t, written); got != want {
		t.Fatalf("read\n%s\nwant\n%s", got, want)
	}
}

func asJSON(t testing.TB, revs []oauthz.Revocation) string {
	t.Helper()
	doc, err := json.MarshalIndent(revs, "", " ")
	must(t, "marshal", err)
	return string(doc)
}

func testResume(t *testing.T, store Store) {
	log := store.Open(t)
	must(t, "append", log.Append(t.Context(), numbered(1), numbered(2)))
	revs, position := readAll(t, log, "")
	wantNumbers(t, revs, 1, 2)
	must(t, "append", log.Append(t.Context(), numbered(3)))
	must(t, "append", log.Append(t.Context(), numbered(4)))
	other := store.Open(t)
	revs, last := readAll(t, other, position)
	wantNumbers(t, revs, 3, 4)
	revs, _ = readAll(t, other, last)
	wantNumbers(t, revs)
	revs, _ = readAll(t, other, position) // a position can be read from again
	wantNumbers(t, revs, 3, 4)
}

// testWait: an entry that another client appends ends the wait of a reader.
func testWait(t *testing.T, store Store) {
	reader, writer := store.Open(t), store.Open(t)
	_, position := readAll(t, reader, "")
	for i := range 20 {
		type result struct {
			revs []oauthz.Revocation
			next string
			err  error
		}
		got := make(chan result, 1)
		go func() {
			revs, next, err := reader.Read(t.Context(), position, patience)
			got <- result{revs, next, err}
		}()
		must(t, "append", writer.Append(t.Context(), numbered(i)))
		select {
		case r := <-got:
			must(t, "read", r.err)
			wantNumbers(t, r.revs, i)
			position = r.next
		case <-time.After(patience / 2):
			t.Fatal("the reader does not return")
		}
	}
	revs, _, err := reader.Read(t.Context(), position, 10*time.Millisecond)
	must(t, "read", err)
	wantNumbers(t, revs)
}

func testAllOrNone(t *testing.T, store Store) {
	log := store.Open(t)
	bad := oauthz.Revocation{Match: map[string]any{"jti": "no issuer"}, Expires: time.Now().Add(time.Hour)}
	if err := log.Append(t.Context(), numbered(1), bad, numbered(2)); err == nil {
		t.Fatal("a revocation that no list accepts was appended")
	}
	revs, _ := readAll(t, log, "")
	wantNumbers(t, revs)
}

// testDuplicates: neither a second copy of a revocation nor a second read of the whole log
// changes a list.
func testDuplicates(t *testing.T, store Store) {
	log := store.Open(t)
	list := open(t, log)
	for range 3 {
		must(t, "revoke", list.Revoke(t.Context(), numbered(1), numbered(1)))
		must(t, "append", log.Append(t.Context(), numbered(2)))
	}
	other := open(t, store.Open(t))
	for _, l := range []*revlog.List{list, other} {
		awaitRevoked(t, l, 1, 2)
		if revoked, err := l.Revoked(t.Context(), token(3)); revoked || err != nil {
			t.Fatalf("a token that is not revoked: %v, %v", revoked, err)
		}
	}
}

// testExpiry: no entry is lost that can still match a token. A log that cannot keep an entry
// long enough must return an error.
func testExpiry(t *testing.T, store Store) {
	log := store.Open(t)
	var kept []int
	for i, expires := range []time.Time{
		{}, // never expires
		time.Now().AddDate(100, 0, 0),
		time.Now().Add(time.Hour),
		time.Now().Add(-oauthz.MaxLeeway / 2), // expired, but within the leeway
	} {
		rev := numbered(i)
		rev.Expires = expires
		if err := log.Append(t.Context(), rev); err == nil {
			kept = append(kept, i)
		}
	}
	if !slices.Contains(kept, 2) || !slices.Contains(kept, 3) {
		t.Fatal("an ordinary revocation was refused")
	}
	expired := numbered(99)
	expired.Expires = time.Now().Add(-time.Hour)
	must(t, "append an expired entry", log.Append(t.Context(), expired))
	for i := range 2000 { // for a log that deletes old entries when it appends
		must(t, "append", log.Append(t.Context(), numbered(100+i)))
	}
	revs, _ := readAll(t, store.Open(t), "")
	held := map[int]bool{}
	for _, rev := range revs {
		held[number(t, rev)] = true
	}
	for _, i := range kept {
		if !held[i] {
			t.Errorf("entry %d was acknowledged and is missing", i)
		}
	}
}

func testCancelled(t *testing.T, store Store) {
	log := store.Open(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Append(cancelled, numbered(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("append with a cancelled context: %v", err)
	}
	revs, position := readAll(t, log, "")
	wantNumbers(t, revs)
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() {
		_, _, err := log.Read(ctx, position, time.Hour)
		returned <- err
	}()
	cancel()
	select {
	case err := <-returned:
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("read with a cancelled context: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a cancelled read does not return")
	}
	must(t, "append after the cancelled read", log.Append(t.Context(), numbered(2)))
	revs, _ = readAll(t, log, position)
	wantNumbers(t, revs, 2)
}

// testInvalidPosition: an invalid position is an error, and is never read as the end of the
// log.
func testInvalidPosition(t *testing.T, store Store) {
	log := store.Open(t)
	must(t, "append", log.Append(t.Context(), numbered(1)))
	for _, position := range []string{"bogus", "-1", "999999999999999999999999", "1-1-1", "'; --"} {
		revs, _, err := log.Read(t.Context(), position, 0)
		if err == nil && len(revs) == 0 {
			t.Errorf("position %q is read as the end of the log", position)
		}
	}
}
