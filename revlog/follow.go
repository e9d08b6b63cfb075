package revlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oauthz/oauthz"
)

// follow reads the log until ctx ends.
func (l *List) follow(ctx context.Context) {
	defer close(l.done)
	defer l.ended.Store(true)
	f := follower{list: l, backoff: minBackoff, batch: 1}
	if b, ok := l.log.(Batcher); ok {
		f.batch = max(b.Batch(), 1)
	}
	for ctx.Err() == nil {
		err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		l.note(err)
		if err == nil {
			f.backoff = minBackoff
		} else {
			f.wait = 0 // it must know when it has everything again, not when there is more
			f.pause(ctx)
		}
	}
}

func (l *List) note(err error) {
	l.mu.Lock()
	l.fault = err
	l.mu.Unlock()
	if err != nil && l.cfg.Report != nil {
		l.cfg.Report(err)
	}
}

// follower is where a list is in its log.
type follower struct {
	list     *List
	position string
	wait     time.Duration // 0 until it has caught up: then there is nothing to wait for
	again    bool          // it has begun again, and not caught up since
	backoff  time.Duration
	batch    int // a Read of fewer entries has brought everything
}

// step reads once, and applies what it read.
func (f *follower) step(ctx context.Context) error {
	l := f.list
	began := l.cfg.Now()
	revs, next, err := f.read(ctx)
	if errors.Is(err, ErrTruncated) {
		// What it has still applies: all there is to do is to read it again. A log
		// that is truncated once more meanwhile is read again after a pause.
		once := f.position != "" && !f.again
		f.position, f.wait, f.again = "", 0, true
		if once {
			return nil
		}
		return err
	}
	if len(revs) > 0 || err == nil {
		if err := l.apply(ctx, revs); err != nil {
			return err // and read it again: to go on would be to leave it out
		}
		if len(revs) > 0 && (next == f.position || next == "") {
			return errors.New("revlog: read: entries, but no new position")
		}
		f.position, f.wait = next, 0
	}
	if err != nil {
		return err
	}
	if len(revs) < f.batch {
		f.wait, f.again = l.cfg.Poll, false
		l.caughtUp(began)
	}
	return nil
}

// read reads once. A log that panics is one that cannot be read.
func (f *follower) read(ctx context.Context) (revs []oauthz.Revocation, next string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("revlog: read: panic of type %T", v)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, f.wait+f.list.cfg.Timeout)
	defer cancel()
	revs, next, err = f.list.log.Read(ctx, f.position, f.wait)
	if err != nil && !errors.Is(err, ErrTruncated) {
		err = fmt.Errorf("revlog: read: %w", err)
	}
	return revs, next, err
}

// apply holds each of revs that can be held.
func (l *List) apply(ctx context.Context, revs []oauthz.Revocation) error {
	if l.held.Revoke(ctx, revs...) == nil {
		return nil
	}
	var errs []error
	for _, rev := range revs {
		errs = append(errs, l.held.Revoke(ctx, rev))
	}
	return errors.Join(errs...)
}

// caughtUp: the list has all that was in the log at a time.
func (l *List) caughtUp(at time.Time) {
	l.fresh.Store(&at)
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
}

// pause waits after a failure, longer each time, and not in step with others.
func (f *follower) pause(ctx context.Context) {
	timer := time.NewTimer(f.backoff/2 + rand.N(f.backoff/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	f.backoff = min(2*f.backoff, maxBackoff)
}
