package pglog

import (
	"sync"
	"time"
)

// trimAgain is how often a trim begins at the oldest entry again. This is for entries that had
// expired long before they were added, and for a table that was replaced.
const trimAgain = time.Hour

// trimProgress is the time of expiry up to which all expired entries are deleted. Without it
// each trim would read all entries again that earlier trims deleted and that VACUUM cannot yet
// remove. There may be millions of them while any transaction of the server stays open.
type trimProgress struct {
	mu    sync.Mutex
	until *time.Time // nil: begin at the oldest entry
	began time.Time  // when a trim last began at the oldest entry
}

func (t *trimProgress) load(now time.Time) *time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.until == nil || now.Sub(t.began) > trimAgain {
		t.until, t.began = nil, now
	}
	return t.until
}

func (t *trimProgress) store(until *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
}
