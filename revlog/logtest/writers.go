package logtest

import (
	"sync"
	"testing"
	"time"
)

// testConcurrentWriters: a reader that follows the log reads each entry once, in whatever order
// the writers finish.
func testConcurrentWriters(t *testing.T, store Store) {
	const writers, each = 8, 100
	var wg sync.WaitGroup
	for w := range writers {
		log := store.Open(t)
		wg.Go(func() {
			for i := range each {
				if err := log.Append(t.Context(), numbered(w*each+i)); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	reader := store.Open(t)
	seen, last := map[int]bool{}, map[int]int{}
	position := ""
	for deadline := time.Now().Add(patience); len(seen) < writers*each; {
		if time.Now().After(deadline) || t.Failed() {
			t.Fatalf("the reader saw %d of %d entries", len(seen), writers*each)
		}
		revs, next, err := reader.Read(t.Context(), position, 50*time.Millisecond)
		must(t, "read", err)
		position = next
		for _, rev := range revs {
			i := number(t, rev)
			if seen[i] {
				t.Fatalf("entry %d was read twice", i)
			}
			if before, ok := last[i/each]; ok && before > i {
				t.Fatalf("entry %d was read before entry %d of the same writer", before, i)
			}
			seen[i], last[i/each] = true, i
		}
	}
	wg.Wait()
}
