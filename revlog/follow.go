package revlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/oauthz/oauthz"
)

// follow reads the log until ctx ends.
func (l *List) follow(ctx context.Context) {
	defer close(l.done)
	defer l.ended.Store(true)
	f := newFollower(l)
	for ctx.Err() == nil {
		err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		l.note(err)
		if err == nil {
			f.backoff = minBackoff
			f.gather(ctx)
		} else {
			f.wait = 0 // it must know when it has everything again, not when there is more
			f.backOff(ctx)
		}
	}
}

// note keeps the reason why the log could not be read, and reports it.
func (l *List) note(err error) {
	l.setFault(err)
	if err == nil {
		return
	}
	if failed := l.report(err); failed != nil {
		l.setFault(fmt.Errorf("%w; %w", err, failed))
	}
}

func (l *List) setFault(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = err
}

// report calls the hook of the program. A panic in it would end the process.
func (l *List) report(err error) (failed error) {
	if l.cfg.Report == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			failed = fmt.Errorf("revlog: Report: panic of type %T", v)
			slog.Error(failed.Error())
		}
	}()
	l.cfg.Report(err)
	return nil
}

// follower is where a list is in its log.
type follower struct {
	list      *List
	trail     trail
	audit     audit
	restoring restoring
	wait      time.Duration // 0 until it has caught up: then there is nothing to wait for
	backoff   time.Duration
	batch     int           // a Read of fewer entries has brought everything
	pace      time.Duration // about the time between two Reads under load
	next      time.Time     // when a Read is due by pace

	// Since it last had everything:
	again    bool // it went back to an older position
	progress bool // it has read from there
	judged   bool // excuse has decided
	anew     bool // it reads everything again, and has not paused yet
}

func newFollower(l *List) *follower {
	f := &follower{list: l, backoff: minBackoff, batch: 1}
	if b, ok := l.log.(Batcher); ok {
		f.batch = max(b.Batch(), 1)
	}
	if p, ok := l.log.(Pacer); ok {
		f.pace = min(p.Pace(), l.cfg.MaxLag/8)
	}
	return f
}

// step reads once, and applies what it read. A hook that panics, in the log or in
// the clock, is an error.
func (f *follower) step(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("revlog: panic of type %T", v)
		}
	}()
	l := f.list
	began, look := l.cfg.Now(), l.look()
	revs, next, err := f.read(ctx)
	if errors.Is(err, ErrTruncated) {
		return f.goBack(err)
	}
	if len(revs) > 0 || err == nil {
		f.excuse(began, revs)
		if err := l.apply(ctx, revs); err != nil {
			return err // and read it again: to go on would be to leave it out
		}
		if len(revs) > 0 && (next == f.trail.position() || next == "") {
			return errors.New("revlog: read: entries, but no new position")
		}
		f.advance(next, revs)
	}
	if err != nil {
		return err
	}
	if len(revs) < f.batch {
		return f.caughtUp(ctx, began, look)
	}
	if f.anew { // and there is more
		f.anew = false
		pause(ctx, rand.N(min(maxSpread, l.cfg.MaxLag/4)+1))
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
	revs, next, err = f.list.log.Read(ctx, f.trail.position(), f.wait)
	if err != nil && !errors.Is(err, ErrTruncated) {
		err = fmt.Errorf("revlog: read: %w", err)
	}
	return revs, next, err
}

// advance notes what was read, and applied.
func (f *follower) advance(next string, revs []oauthz.Revocation) {
	marks := marksOf(f.list.seed, revs)
	f.trail.advance(next, revs, marks)
	f.audit.sees(marks)
	f.restoring.sees(marks)
	f.list.found(marks)
	f.wait, f.progress = 0, f.again
}

// goBack goes to an older position, since the log has not the entry of this one.
// What was read after the older one may be gone, and what the list holds still
// applies.
func (f *follower) goBack(err error) error {
	f.list.doubts.Store(true)
	began := f.trail.position() == ""
	marks, entries, ok := f.trail.rewind()
	// A log that is truncated once more before all of it was read is read again after a pause.
	failed := began || f.again && f.progress
	f.wait, f.again, f.progress = 0, true, false
	f.anew = !ok
	if ok {
		f.audit.suspect(marks, entries)
	} else {
		f.audit.suspectAll()
	}
	if failed {
		return err
	}
	return nil
}

// excuse gives the list MaxLag anew to read to the end, once, if it went back when
// it was not late and reads what it holds: it is then as far as it was, but for
// what was appended since. It is late by that alone.
func (f *follower) excuse(began time.Time, revs []oauthz.Revocation) {
	l := f.list
	if !f.again || f.judged || len(revs) == 0 {
		return
	}
	f.judged = true
	if l.cannotTell() != nil {
		return
	}
	for _, rev := range revs {
		if !ends(rev, began) && !l.held.Covers(rev) {
			return
		}
	}
	l.fresh.Store(&began)
}

// caughtUp: the list has all that was in the log when a Read began.
func (f *follower) caughtUp(ctx context.Context, began time.Time, look int) error {
	l := f.list
	f.wait, f.again, f.progress, f.judged, f.anew = l.cfg.Poll, false, false, false, false
	l.caughtUp(began)
	f.audit.suspect(l.overdue(look))
	if missing := f.audit.missing(&l.held, l.seed, l.cfg.Now()); len(missing) > 0 {
		f.restoring.add(missing)
		l.missing.Store(int64(len(f.restoring.missing)))
		_ = l.report(lost(len(missing))) // which has logged its own failure
	}
	return f.restore(ctx)
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

// apply holds each of revs that can be held. Of the others its error has each
// reason once: a list that is full has the same for all of them.
func (l *List) apply(ctx context.Context, revs []oauthz.Revocation) error {
	if l.held.Revoke(ctx, revs...) == nil {
		return nil
	}
	var errs []error
	known := map[string]bool{}
	for _, rev := range revs {
		if err := l.held.Revoke(ctx, rev); err != nil && !known[err.Error()] {
			known[err.Error()] = true
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

const (
	// burst is how many Reads in a row are not delayed by pace.
	burst = 8
	// maxSpread is how long a list pauses, at most, before it reads all of a long log
	// again: every instance does.
	maxSpread = 5 * time.Second
)

// gather delays the next Read while the list is woken more often than pace allows:
// see [Pacer]. It has everything, and what comes meanwhile it reads together.
func (f *follower) gather(ctx context.Context) {
	if f.pace <= 0 || f.wait <= 0 {
		return
	}
	now := time.Now()
	if earliest := now.Add(-burst * f.pace); f.next.Before(earliest) {
		f.next = earliest
	}
	f.next = f.next.Add(f.pace*3/4 + rand.N(f.pace/2+1))
	pause(ctx, f.next.Sub(now))
}

// backOff waits after a failure, longer each time, and not in step with others.
func (f *follower) backOff(ctx context.Context) {
	pause(ctx, f.backoff/2+rand.N(f.backoff/2))
	f.backoff = min(2*f.backoff, maxBackoff)
}

// pause waits until ctx ends, or d has passed.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
