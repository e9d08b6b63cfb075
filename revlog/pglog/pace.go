package pglog

import (
	"math/rand/v2"
	"time"
)

// A session reads at once when it is notified, up to burst times in a row and
// perSecond times a second. Beyond that it stops listening and reads every busyPause or so:
// a notification then costs the server nothing, and one read returns what
// many notifications announced. It listens again when nothing was new for calmAfter.
const (
	burst     = 10
	perSecond = 20
	busyPause = 80 * time.Millisecond // the longest; half of it is the shortest
	calmAfter = 500 * time.Millisecond

	// flood is how many notifications a session takes between two reads before it disconnects. It then
	// does not listen for floodPause.
	flood      = 1_000
	floodPause = 30 * time.Second
)

// pace decides when a session reads. The zero value is calm.
type pace struct {
	busy  bool
	news  time.Time // busy: when a read last returned entries
	spent float64   // notifications so far, less perSecond for each second
	since time.Time // when spent was updated
}

// notified counts a notification.
func (p *pace) notified(now time.Time) {
	if !p.since.IsZero() {
		p.spent = max(p.spent-perSecond*now.Sub(p.since).Seconds(), 0)
	}
	p.spent, p.since = p.spent+1, now
	if p.spent > burst {
		*p = pace{busy: true, news: now}
	}
}

// flooded makes p busy for floodPause at least.
func (p *pace) flooded(now time.Time) { *p = pace{busy: true, news: now.Add(floodPause)} }

// read counts a read.
func (p *pace) read(now time.Time, entries bool) {
	switch {
	case !p.busy:
	case entries && now.After(p.news):
		p.news = now
	case now.Sub(p.news) > calmAfter:
		*p = pace{}
	}
}

// pause is how long to wait between two reads while busy; not in step with others.
func (p *pace) pause() time.Duration { return busyPause/2 + rand.N(busyPause/2) }
