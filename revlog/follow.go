package revlog

import (
	"cmp"
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
		err := f.readOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		l.recordFault(err)
		if err == nil {
			f.delay = minBackoff
			f.keepPace(ctx)
		} else {
			f.wait = 0 // the next Read must report whether the list has everything, not wait for more
			f.backOff(ctx)
		}
	}
}

// recordFault stores the reason why the log could not be read, and reports it. A nil err clears
// it.
func (l *List) recordFault(err error) {
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

// report calls Config.Report. It recovers a panic, which would otherwise end the process.
func (l *List) report(err error) (failed error) {
	if l.cfg.Report == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			failed = fmt.Errorf("revlog: report: Config.Report: panic of type %T", v)
			slog.Error(failed.Error())
		}
	}()
	l.cfg.Report(err)
	return nil
}

// follower reads a log for a list, and knows how far the list has read.
type follower struct {
	list        *List
	trail       trail
	audit       audit
	restoration restoration
	wait        time.Duration // how long the next Read waits for more; 0 until the list has caught up
	delay       time.Duration
	batch       int           // a Read that returns fewer entries has returned everything
	pace        time.Duration // the average time between two Reads under load
	next        time.Time     // when the next Read is due at that pace

	// Since the list last had everything:
	rereading     bool // it has gone back to an older position
	rereadSome    bool // it has read entries from that older position
	lagDecided    bool // restartLag has decided
	fromBeginning bool // it reads the whole log again, and has not paused yet
}

func newFollower(l *List) *follower {
	f := &follower{list: l, delay: minBackoff, batch: 1}
	if b, ok := l.log.(Batcher); ok {
		f.batch = max(b.Batch(), 1)
	}
	if p, ok := l.log.(Pacer); ok {
		f.pace = min(p.Pace(), l.cfg.MaxLag/8)
	}
	return f
}

// readOnce reads once, and applies the entries. It returns a panic of a hook, in the log or in
// the clock, as an error.
func (f *follower) readOnce(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("revlog: follow: panic of type %T", v)
		}
	}()
	l := f.list
	began, number := l.cfg.Now(), l.beginRead()
	revs, next, err := f.read(ctx)
	if errors.Is(err, ErrTruncated) {
		return f.rewind(err)
	}
	if len(revs) > 0 || err == nil {
		f.restartLag(began, revs)
		if err := l.apply(ctx, revs); err != nil {
			return err // the same entries are read again; to continue would skip them
		}
		if len(revs) > 0 && (next == f.trail.position() || next == "") {
			return errors.New("revlog: read: the log returned entries without a new position")
		}
		f.advance(next, revs)
	}
	if err != nil {
		return err
	}
	if len(revs) < f.batch {
		return f.handleCaughtUp(ctx, began, number)
	}
	if f.fromBeginning { // there are more entries
		f.fromBeginning = false
		sleep(ctx, rand.N(min(maxSpread, l.cfg.MaxLag/4)+1))
	}
	return nil
}

// read calls Read of the log once. It returns a panic of the log as an error.
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

// advance records entries that were read and applied.
func (f *follower) advance(next string, revs []oauthz.Revocation) {
	marks := marksOf(f.list.seed, revs)
	f.trail.advance(next, revs, marks)
	f.audit.noteRead(marks)
	f.restoration.noteRead(marks)
	f.list.noteRead(marks)
	f.wait, f.rereadSome = 0, f.rereading
}

// rewind goes back to an older position, because the log does not have the entry of the current
// position. Entries that were read after the older position may be gone from the log. The
// entries that the list holds still apply.
func (f *follower) rewind(err error) error {
	f.list.maybeIncomplete.Store(true)
	began := f.trail.position() == ""
	marks, entries, ok := f.trail.rewind()
	// If the log is truncated again before all of it was read, it is read again after a pause.
	failed := began || f.rereading && f.rereadSome
	f.wait, f.rereading, f.rereadSome = 0, true, false
	f.fromBeginning = !ok
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

// restartLag gives the list MaxLag once more to read to the end of the log. It does so once,
// and only if the list was not late when it went back and if the entries that it reads now are
// ones that it holds. The list then has everything that it had before, and lacks only the
// entries that were appended since. Reading them again does not make it late by itself.
func (f *follower) restartLag(began time.Time, revs []oauthz.Revocation) {
	l := f.list
	if !f.rereading || f.lagDecided || len(revs) == 0 {
		return
	}
	f.lagDecided = true
	if l.checkAvailable() != nil {
		return
	}
	for _, rev := range revs {
		if !expiresSoon(rev, began) && !l.revocations.Covers(rev) {
			return
		}
	}
	l.caughtUpAt.Store(&began)
}

// handleCaughtUp is called when the list has everything that was in the log when a Read began.
// began is the time and number the number of that Read.
func (f *follower) handleCaughtUp(ctx context.Context, began time.Time, number int) error {
	l := f.list
	f.wait, f.rereading, f.rereadSome, f.lagDecided, f.fromBeginning = l.cfg.Poll, false, false, false, false
	l.setCaughtUp(began)
	f.audit.suspect(l.overdue(number))
	if missing := f.audit.missing(&l.revocations, l.seed, l.cfg.Now()); len(missing) > 0 {
		f.restoration.add(missing)
		l.missing.Store(int64(len(f.restoration.missing)))
		_ = l.report(lostError(len(missing))) // report logs its own failure
	}
	return f.restore(ctx)
}

// setCaughtUp records that the list has everything that was in the log at a time.
func (l *List) setCaughtUp(at time.Time) {
	l.caughtUpAt.Store(&at)
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
}

// apply adds to the list each of revs that is valid. If some are not, it returns an error on one
// line: the number of these, and the first reason.
func (l *List) apply(ctx context.Context, revs []oauthz.Revocation) error {
	if l.revocations.Revoke(ctx, revs...) == nil {
		return nil
	}
	invalid, first := 0, error(nil)
	for _, rev := range revs {
		if err := l.revocations.Revoke(ctx, rev); err != nil {
			invalid++
			first = cmp.Or(first, err)
		}
	}
	if invalid == 0 {
		return nil
	}
	return fmt.Errorf("revlog: read: %d of %d entries cannot be applied: %w", invalid, len(revs), first)
}

const (
	// burst is how many Reads in a row the pace does not delay.
	burst = 8
	// maxSpread is the longest pause of a list before it reads the whole of a long log again.
	// Every instance does so at that moment, and the pauses spread them.
	maxSpread = 5 * time.Second
)

// keepPace delays the next Read while the list is woken more often than the pace allows: see
// [Pacer]. The list has everything at this point, and it reads together the entries that are
// appended during the delay.
func (f *follower) keepPace(ctx context.Context) {
	if f.pace <= 0 || f.wait <= 0 {
		return
	}
	now := time.Now()
	if earliest := now.Add(-burst * f.pace); f.next.Before(earliest) {
		f.next = earliest
	}
	f.next = f.next.Add(f.pace*3/4 + rand.N(f.pace/2+1))
	sleep(ctx, f.next.Sub(now))
}

// backOff waits after a failure. The delay doubles each time, and is random, so that the
// instances do not read in step.
func (f *follower) backOff(ctx context.Context) {
	sleep(ctx, f.delay/2+rand.N(f.delay/2))
	f.delay = min(2*f.delay, maxBackoff)
}

// sleep returns when d has passed or ctx ends.
func sleep(ctx context.Context, d time.Duration) {
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
