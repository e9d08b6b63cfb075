package pglog

import (
	"sync"
	"time"
)

// trimAgain is how often a trim begins at the oldest entry nevertheless: for entries that had
// expired long ago when they were added, and for a table that was replaced.
const trimAgain = time.Hour

// trimmed is up to which time of expiry all expired entries are deleted. Without it
// each trim would walk over all that earlier ones deleted and that VACUUM cannot yet
// remove, which may be millions while any transaction of the server stays open.
type trimmed struct {
	mu    sync.Mutex
	until *time.Time // nil: begin at the oldest
	began time.Time  // when a trim last began at the oldest
}

func (t *trimmed) load(now time.Time) *time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.until == nil || now.Sub(t.began) > trimAgain {
		t.until, t.began = nil, now
	}
	return t.until
}

func (t *trimmed) store(until *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
}
