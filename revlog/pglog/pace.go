package pglog

import (
	"math/rand/v2"
	"time"
)

// A session reads at once when it is notified, up to burst times in a row and perSecond times a
// second. Beyond that it stops listening and reads about every busyPause: a notification then
// costs the server no read, and one read returns the entries of many notifications. The session
// listens again when no entry was new for calmAfter.
const (
	burst     = 10
	perSecond = 20
	busyPause = 80 * time.Millisecond // the longest; half of it is the shortest
	calmAfter = 500 * time.Millisecond

	// flood is how many notifications a session accepts between two reads before it
	// disconnects. After that it does not listen for floodPause.
	flood      = 1_000
	floodPause = 30 * time.Second
)

// pace decides when a session reads. The zero value is calm.
type pace struct {
	busy    bool
	lastNew time.Time // when a read last returned entries, while busy
	level   float64   // notifications so far, less perSecond for each second
	updated time.Time // when level was updated
}

// notified counts a notification.
func (p *pace) notified(now time.Time) {
	if !p.updated.IsZero() {
		p.level = max(p.level-perSecond*now.Sub(p.updated).Seconds(), 0)
	}
	p.level, p.updated = p.level+1, now
	if p.level > burst {
		*p = pace{busy: true, lastNew: now}
	}
}

// flooded makes p busy for floodPause at least.
func (p *pace) flooded(now time.Time) { *p = pace{busy: true, lastNew: now.Add(floodPause)} }

// read counts a read.
func (p *pace) read(now time.Time, entries bool) {
	switch {
	case !p.busy:
	case entries && now.After(p.lastNew):
		p.lastNew = now
	case now.Sub(p.lastNew) > calmAfter:
		*p = pace{}
	}
}

// pause returns the time between two reads while busy. It is random, so that sessions do not
// read in step.
func (p *pace) pause() time.Duration { return busyPause/2 + rand.N(busyPause/2) }
