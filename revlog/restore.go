package revlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oauthz/oauthz"
)

const (
	// maxPortion is how many missing entries are appended at a time: few enough that
	// no server is busy with them for long.
	maxPortion = 500
	// maxHesitation is how long a list waits, at most, for another to append what is
	// missing: long enough that of hundreds of lists mostly one begins.
	maxHesitation = 4 * time.Second
)

// restoring appends again what is missing from a log. Many lists find the same
// entries missing at once. Each waits a random time, in which it goes on reading,
// and leaves to another list what that has begun to append. One that has begun goes
// on at once, and waits again if another has begun too.
type restoring struct {
	missing map[uint64]oauthz.Revocation
	begin   time.Time       // when to append; zero: not chosen yet
	portion map[uint64]bool // what this list has appended and not read yet
	others  bool            // whether another list appended some since begin was chosen
}

func (r *restoring) add(missing map[uint64]oauthz.Revocation) {
	if r.missing == nil {
		r.missing = missing
	}
	for entry, rev := range missing {
		r.missing[entry] = rev
	}
}

func (r *restoring) sees(marks []mark) {
	if len(r.missing) == 0 {
		return
	}
	for _, m := range marks {
		if _, missing := r.missing[m.entry]; !missing {
			continue
		}
		delete(r.missing, m.entry)
		r.others = r.others || !r.portion[m.entry]
		delete(r.portion, m.entry)
	}
}

// due returns what to append now, if anything, when all of the log has been read.
func (r *restoring) due(now, clock time.Time) (portion []oauthz.Revocation) {
	for entry, rev := range r.missing {
		if ends(rev, clock) {
			delete(r.missing, entry)
		}
	}
	if len(r.missing) == 0 {
		*r = restoring{}
		return nil
	}
	if r.begin.IsZero() || r.others || len(r.portion) > 0 {
		r.hesitate(now)
	}
	if now.Before(r.begin) {
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

func (r *restoring) hesitate(now time.Time) {
	r.begin, r.others, r.portion = now.Add(rand.N(maxHesitation)), false, nil
}

// restore appends a portion of what is missing when it is time to.
func (f *follower) restore(ctx context.Context) error {
	l, r := f.list, &f.restoring
	portion := r.due(time.Now(), l.cfg.Now())
	l.missing.Store(int64(len(r.missing)))
	l.doubts.Store(len(r.missing) > 0)
	if len(r.missing) == 0 {
		return nil
	}
	if len(portion) == 0 {
		f.wait = min(f.wait, max(time.Until(r.begin), 0))
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if err := l.log.Append(ctx, portion...); err != nil {
		r.hesitate(time.Now())
		return fmt.Errorf("revlog: append lost entries: %w", err)
	}
	f.wait = 0
	return nil
}
