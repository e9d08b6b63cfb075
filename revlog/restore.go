package revlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oauthz/oauthz"
)

const (
	// maxPortion is how many missing entries are appended at a time. It is small enough that
	// these appends do not keep a server busy for long.
	maxPortion = 500
	// maxRestoreDelay is how long a list waits, at most, for another list to append the missing
	// entries. It is long enough that of hundreds of lists usually one begins.
	maxRestoreDelay = 4 * time.Second
)

// restoration appends the entries again that are missing from a log. Many lists detect the same
// missing entries at once. Each of them waits for a random time, continues to read during it,
// and leaves the entries to another list that has begun to append them. A list that has begun
// continues at once, and waits again if another list has begun too.
type restoration struct {
	missing        map[uint64]oauthz.Revocation
	appendAt       time.Time       // when to append; zero if it is not chosen yet
	portion        map[uint64]bool // the entries that this list has appended and not read yet
	othersAppended bool            // whether another list has appended some since appendAt was chosen
}

func (r *restoration) add(missing map[uint64]oauthz.Revocation) {
	if r.missing == nil {
		r.missing = missing
	}
	for entry, rev := range missing {
		r.missing[entry] = rev
	}
}

func (r *restoration) noteRead(marks []mark) {
	if len(r.missing) == 0 {
		return
	}
	for _, m := range marks {
		if _, missing := r.missing[m.entry]; !missing {
			continue
		}
		delete(r.missing, m.entry)
		r.othersAppended = r.othersAppended || !r.portion[m.entry]
		delete(r.portion, m.entry)
	}
}

// due returns the entries to append now, if any. It must be called when the whole log has been
// read.
func (r *restoration) due(now, clock time.Time) (portion []oauthz.Revocation) {
	for entry, rev := range r.missing {
		if expiresSoon(rev, clock) {
			delete(r.missing, entry)
		}
	}
	if len(r.missing) == 0 {
		*r = restoration{}
		return nil
	}
	if r.appendAt.IsZero() || r.othersAppended || len(r.portion) > 0 {
		r.postpone(now)
	}
	if now.Before(r.appendAt) {
		return nil
	}
	r.portion = map[uint64]bool{}
	for entry, rev := range r.missing {
		if len(portion) == maxPortion {
			break
		}
		r.portion[entry] = true
		portion = append(portion, rev)
	}
	return portion
}

func (r *restoration) postpone(now time.Time) {
	r.appendAt, r.othersAppended, r.portion = now.Add(rand.N(maxRestoreDelay)), false, nil
}

// restore appends a portion of the missing entries if it is due.
func (f *follower) restore(ctx context.Context) error {
	l, r := f.list, &f.restoration
	portion := r.due(time.Now(), l.cfg.Now())
	l.missing.Store(int64(len(r.missing)))
	l.maybeIncomplete.Store(len(r.missing) > 0)
	if len(r.missing) == 0 {
		return nil
	}
	if len(portion) == 0 {
		f.wait = min(f.wait, max(time.Until(r.appendAt), 0))
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if err := l.log.Append(ctx, portion...); err != nil {
		r.postpone(time.Now())
		return fmt.Errorf("revlog: append lost entries: %w", err)
	}
	f.wait = 0
	return nil
}
