package boltlog_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// flipped flips a bit of the byte at an offset of record 3; a negative offset counts from the end.
func flipped(at int) func(*bolt.Bucket) error {
	return func(entries *bolt.Bucket) error {
		record := bytes.Clone(entries.Get(key(3)))
		if at < 0 {
			at += len(record)
		}
		record[at] ^= 1
		return entries.Put(key(3), record)
	}
}

// becomes replaces record 3.
func becomes(record string) func(*bolt.Bucket) error {
	return func(entries *bolt.Bucket) error { return entries.Put(key(3), []byte(record)) }
}

// An entry that cannot be read is an error that names it, comes after the entries before it,
// and is never skipped.
func TestADamagedEntryIsNotSkipped(t *testing.T) {
	t.Parallel()
	const damaged = "boltlog: read: entry 3: the record is damaged"
	for _, tt := range []struct {
		name   string
		damage func(*bolt.Bucket) error
		want   string
		whole  bool // the whole bucket is damaged
	}{
		{name: "empty", damage: becomes(""), want: damaged},
		{name: "one byte", damage: becomes("\x01"), want: damaged},
		{name: "JSON", damage: becomes(`{"match":{"iss":"canary"}}`), want: damaged},
		{name: "other version", damage: flipped(0), want: damaged},
		{name: "a bit of the checksum", damage: flipped(1), want: damaged},
		{name: "a bit of the expiry", damage: flipped(12), want: damaged},
		{name: "a bit of a claim", damage: flipped(-4), want: damaged},
		{name: "the record of another entry", want: damaged, damage: func(entries *bolt.Bucket) error {
			return entries.Put(key(3), bytes.Clone(entries.Get(key(4))))
		}},
		{name: "a key of another length", whole: true, want: "boltlog: read: the bucket has a key that the log did not write", damage: func(entries *bolt.Bucket) error {
			return entries.Put([]byte("\x00\x00\x00\x00\x00\x00\x00\x02canary"), []byte("canary"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantDamage(t, tt.damage, tt.want, tt.whole)
		})
	}
}

// wantDamage damages a file with four entries, and checks the errors of the log and of a list.
func wantDamage(t *testing.T, damage func(*bolt.Bucket) error, want string, whole bool) {
	t.Helper()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1, 2, 3, 4)
	tamper(t, db, damage)
	revs, position, err := log.Read(t.Context(), "", 0)
	assert.EqualError(t, err, want)
	if whole {
		position = ""
	} else {
		assert.Equal(t, []string{"1", "2"}, ids(revs))
	}
	revs, _, err = log.Read(t.Context(), position, time.Hour)
	assert.Empty(t, revs)
	assert.EqualError(t, err, want)
	list, err := revlog.Open(t.Context(), log, revlog.Config{})
	require.NoError(t, err)
	defer list.Close()
	_, err = list.Revoked(t.Context(), token(3))
	assert.ErrorIs(t, err, revlog.ErrNotReady)
}

// A record with a correct checksum is also read strictly.
func TestAnIntactRecordIsReadStrictly(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1)
	tamper(t, db, func(entries *bolt.Bucket) error {
		return entries.Put(key(1), sealed(1, 0, `{"match":{"iss":"i"},"canary":1}`))
	})
	_, _, err := log.Read(t.Context(), "", 0)
	assert.EqualError(t, err, "boltlog: read: entry 1: oauthz: revocation: unknown member")
}

// If the sequence was set back, an Append would overwrite entries.
func TestASequenceThatWasSetBackIsAnError(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1, 2, 3)
	tamper(t, db, func(entries *bolt.Bucket) error { return entries.SetSequence(1) })
	assert.EqualError(t, log.Append(t.Context(), numbered(4)), "boltlog: append: the bucket has entries with numbers above its sequence")
	_, _, err := log.Read(t.Context(), "", 0)
	assert.EqualError(t, err, "boltlog: read: the bucket has entries with numbers above its sequence")
}

// until returns the i-th revocation, which expires at a time.
func until(i int, expires time.Time) oauthz.Revocation {
	rev := numbered(i)
	rev.Expires = expires
	return rev
}

// Expired entries are deleted, a bounded number at a time, and no others are.
func TestExpiredEntriesAreDeletedAFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		db := openFile(t, fileIn(t))
		log := newLog(t, db, boltlog.Config{})
		require.NoError(t, log.Append(t.Context(), numbered(0), until(1, start.Add(time.Hour)), until(2, start.AddDate(100, 0, 0)), until(3, time.Unix(-1, 0))))
		var many []oauthz.Revocation
		for i := range 2000 {
			many = append(many, until(100+i, start.Add(time.Minute)))
		}
		require.NoError(t, log.Append(t.Context(), many...))
		_, position := readAll(t, log, "")
		tamper(t, db, func(entries *bolt.Bucket) error {
			damaged := bytes.Clone(entries.Get(key(1999)))
			damaged[len(damaged)-1] ^= 1
			return entries.Put(key(1999), damaged) // its expiry is unknown
		})

		settle(t, log, start.Add(time.Minute+oauthz.MaxLeeway), 4) // in the last second: the expiry is rounded up
		assert.GreaterOrEqual(t, countEntries(t, db), 2000)
		settle(t, log, start.Add(time.Minute+oauthz.MaxLeeway+time.Second), 6)
		for i := range 40 {
			before := countEntries(t, db)
			appendTo(t, log, 5000+i)
			assert.LessOrEqual(t, before-countEntries(t, db), 130, "one transaction deletes a few")
		}
		assert.Equal(t, 3+1+44, countEntries(t, db)) // three that have not expired, the damaged one, and those appended since
		revs, _ := readAll(t, log, position)
		assert.Len(t, revs, 44, "the position is still valid")

		settle(t, log, start.Add(time.Hour+oauthz.MaxLeeway+2*time.Second), 6000)
		revs, _, err := log.Read(t.Context(), "", 0)
		require.EqualError(t, err, "boltlog: read: entry 1999: the record is damaged")
		assert.Equal(t, []string{"0", "2"}, ids(revs), "the one that never expires, and the one that has not expired")
	})
}

// settle waits until a time, appends, and appends again when the clock has agreed for long enough that it has come.
func settle(t *testing.T, log *boltlog.Log, at time.Time, first int) {
	t.Helper()
	<-time.After(time.Until(at))
	appendTo(t, log, first)
	<-time.After(oauthz.MaxLeeway)
	appendTo(t, log, first+1)
}

// Times at the limits of what a record can hold.
func TestExtremeTimesOfExpiry(t *testing.T) {
	t.Parallel()
	for _, expires := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 0), time.Unix(-1, 999), epoch, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		t.Run(fmt.Sprint(expires), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := expires.Add(oauthz.MaxLeeway - 1)
				db := openFile(t, fileIn(t))
				log := newLog(t, db, boltlog.Config{Now: func() time.Time { return now }})
				rev := numbered(1)
				rev.Expires = expires
				require.NoError(t, log.Append(t.Context(), rev))
				<-time.After(oauthz.MaxLeeway)
				appendTo(t, log, 2, 3)
				assert.Equal(t, 3, countEntries(t, db))
				now = now.Add(3 * time.Second)
				<-time.After(oauthz.MaxLeeway)
				appendTo(t, log, 4)
				assert.Equal(t, 4, countEntries(t, db), "on the word of one reading nothing is deleted")
				<-time.After(oauthz.MaxLeeway)
				appendTo(t, log, 5)
				want := 4
				if expires.IsZero() {
					want = 5
				}
				assert.Equal(t, want, countEntries(t, db))
			})
		})
	}
}
