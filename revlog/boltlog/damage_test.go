package boltlog_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// RV-10: an entry that cannot be read is an error that says which, after those before it, and is never left out.
func TestDamagedEntry(t *testing.T) {
	t.Parallel()
	flipped := func(at int) func(*bolt.Bucket) error {
		return func(entries *bolt.Bucket) error {
			record := bytes.Clone(entries.Get(key(3)))
			if at < 0 {
				at += len(record)
			}
			record[at] ^= 1
			return entries.Put(key(3), record)
		}
	}
	becomes := func(record string) func(*bolt.Bucket) error {
		return func(entries *bolt.Bucket) error { return entries.Put(key(3), []byte(record)) }
	}
	const damaged = "boltlog: read: entry 3: it is damaged"
	for _, tt := range []struct {
		name   string
		damage func(*bolt.Bucket) error
		want   string
		whole  bool // it is the bucket that is damaged
	}{
		{name: "empty", damage: becomes(""), want: damaged},
		{name: "one byte", damage: becomes("\x01"), want: damaged},
		{name: "JSON", damage: becomes(`{"match":{"iss":"canary"}}`), want: damaged},
		{name: "other version", damage: flipped(0), want: damaged},
		{name: "a bit of the checksum", damage: flipped(1), want: damaged},
		{name: "a bit of the expiry", damage: flipped(12), want: damaged},
		{name: "a bit of a claim", damage: flipped(-4), want: damaged},
		{name: "that of another", want: damaged, damage: func(entries *bolt.Bucket) error {
			return entries.Put(key(3), bytes.Clone(entries.Get(key(4))))
		}},
		{name: "a key that is none", whole: true, want: "boltlog: read: the bucket has a key that is not of the log", damage: func(entries *bolt.Bucket) error {
			return entries.Put([]byte("\x00\x00\x00\x00\x00\x00\x00\x02canary"), []byte("canary"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := openFile(t, fileIn(t))
			log := newLog(t, db, boltlog.Config{})
			appendTo(t, log, 1, 2, 3, 4)
			tamper(t, db, tt.damage)
			revs, position, err := log.Read(t.Context(), "", 0)
			assert.EqualError(t, err, tt.want)
			if tt.whole {
				position = ""
			} else {
				assert.Equal(t, []string{"1", "2"}, ids(revs))
			}
			revs, _, err = log.Read(t.Context(), position, time.Hour)
			assert.Empty(t, revs)
			assert.EqualError(t, err, tt.want)
			list, err := revlog.Open(t.Context(), log, revlog.Config{})
			require.NoError(t, err)
			defer list.Close()
			_, err = list.Revoked(t.Context(), token(3))
			assert.ErrorIs(t, err, revlog.ErrNotReady)
		})
	}
}

// A record whose checksum is right is still read strictly.
func TestRecordThatIsNoRevocation(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1)
	tamper(t, db, func(entries *bolt.Bucket) error {
		return entries.Put(key(1), sealed(1, 0, `{"match":{"iss":"i"},"canary":1}`))
	})
	_, _, err := log.Read(t.Context(), "", 0)
	assert.EqualError(t, err, "boltlog: read: entry 1: oauthz: revocation: a member that is not known")
}

// A sequence that was set back would write over entries.
func TestSequenceSetBack(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1, 2, 3)
	tamper(t, db, func(entries *bolt.Bucket) error { return entries.SetSequence(1) })
	assert.EqualError(t, log.Append(t.Context(), numbered(4)), "boltlog: append: the bucket has entries beyond its sequence")
	_, _, err := log.Read(t.Context(), "", 0)
	assert.EqualError(t, err, "boltlog: read: the bucket has entries beyond its sequence")
}

// RV-13: what is over is deleted, a bounded number at a time, and nothing else is.
func TestRetention(t *testing.T) {
	t.Parallel()
	now := epoch
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{Now: func() time.Time { return now }})
	until := func(i int, expires time.Time) oauthz.Revocation {
		rev := numbered(i)
		rev.Expires = expires
		return rev
	}
	require.NoError(t, log.Append(t.Context(), numbered(0), until(1, epoch.Add(time.Hour)), until(2, epoch.AddDate(100, 0, 0)), until(3, time.Unix(-1, 0))))
	var many []oauthz.Revocation
	for i := range 2000 {
		many = append(many, until(100+i, epoch.Add(time.Minute)))
	}
	require.NoError(t, log.Append(t.Context(), many...))
	_, position := rest(t, log, "")
	tamper(t, db, func(entries *bolt.Bucket) error {
		damaged := bytes.Clone(entries.Get(key(1999)))
		damaged[len(damaged)-1] ^= 1
		return entries.Put(key(1999), damaged) // of which nobody knows when it is over
	})

	now = epoch.Add(time.Minute + oauthz.MaxLeeway) // in the last second: rounded up
	appendTo(t, log, 4)
	assert.GreaterOrEqual(t, countEntries(t, db), 2000)
	now = now.Add(time.Second)
	for i := range 40 {
		before := countEntries(t, db)
		appendTo(t, log, 5000+i)
		assert.LessOrEqual(t, before-countEntries(t, db), 130, "one transaction deletes a few")
	}
	assert.Equal(t, 3+1+41, countEntries(t, db)) // three that live, the garbage, and what was appended since
	revs, _ := rest(t, log, position)
	assert.Len(t, revs, 41, "the position is good still")

	now = epoch.Add(time.Hour + oauthz.MaxLeeway + 2*time.Second)
	appendTo(t, log, 6000)
	revs, _, err := log.Read(t.Context(), "", 0)
	require.EqualError(t, err, "boltlog: read: entry 1999: it is damaged")
	assert.Equal(t, []string{"0", "2"}, ids(revs), "but for the one that never expires, and the one that is not over")
}

// Times at the edges of what a record can say.
func TestRetentionAtTheEdges(t *testing.T) {
	t.Parallel()
	for _, expires := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 0), time.Unix(-1, 999), epoch, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		t.Run(fmt.Sprint(expires), func(t *testing.T) {
			t.Parallel()
			now := expires.Add(oauthz.MaxLeeway - 1)
			db := openFile(t, fileIn(t))
			log := newLog(t, db, boltlog.Config{Now: func() time.Time { return now }})
			rev := numbered(1)
			rev.Expires = expires
			require.NoError(t, log.Append(t.Context(), rev))
			appendTo(t, log, 2, 3)
			assert.Equal(t, 3, countEntries(t, db))
			now = now.Add(3 * time.Second)
			appendTo(t, log, 4)
			want := 3
			if expires.IsZero() {
				want = 4
			}
			assert.Equal(t, want, countEntries(t, db))
		})
	}
}
