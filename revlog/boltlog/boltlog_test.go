package boltlog_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// awaitRevoked waits until a list reports a token as revoked.
func awaitRevoked(t testing.TB, list *revlog.List, i int) {
	t.Helper()
	require.Eventually(t, func() bool {
		revoked, _ := list.Revoked(t.Context(), token(i))
		return revoked
	}, patience, time.Millisecond, "revocation %d is missing", i)
}

func TestNewReportsEveryMistakeOfConfig(t *testing.T) {
	t.Parallel()
	path := fileIn(t)
	db := openFile(t, path)
	unsafe := openFile(t, fileIn(t))
	unsafe.NoSync = true
	const long = "boltlog: config: Bucket is longer than 32768 bytes"
	for _, tt := range []struct {
		name string
		db   *bolt.DB
		cfg  boltlog.Config
		want string
	}{
		{name: "nil", want: "boltlog: config: the database is nil"},
		{name: "NoSync", db: unsafe, want: "boltlog: config: the database has NoSync set: no entry would be durable"},
		{name: "long name", db: db, cfg: boltlog.Config{Bucket: strings.Repeat("b", 32769)}, want: long},
		{name: "all at once", cfg: boltlog.Config{Bucket: strings.Repeat("b", 32769)}, want: "boltlog: config: the database is nil\n" + long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log, err := boltlog.New(tt.db, tt.cfg)
			assert.Nil(t, log)
			assert.EqualError(t, err, tt.want)
		})
	}
}

func TestNewRefusesAReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	path := fileIn(t)
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	db, err = bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: patience})
	require.NoError(t, err)
	defer db.Close()
	_, err = boltlog.New(db, boltlog.Config{})
	assert.EqualError(t, err, "boltlog: config: the database is open read-only")
}

// Append fails while NoSync of the database is set.
func TestAppendFailsWhileNoSyncIsSet(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	db.NoSync = true
	assert.EqualError(t, log.Append(t.Context(), numbered(1)),
		"boltlog: append: the database has NoSync set: no entry would be durable")
	db.NoSync = false
	appendTo(t, log, 2)
	revs, _ := readAll(t, log, "")
	assert.Equal(t, []string{"2"}, ids(revs))
}

func TestAClosedDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	require.NoError(t, db.Close())
	_, err := boltlog.New(db, boltlog.Config{})
	assert.EqualError(t, err, "boltlog: open: database not open")
	assert.EqualError(t, log.Append(t.Context(), numbered(1)), "boltlog: append: database not open")
	_, _, err = log.Read(t.Context(), "", 0)
	assert.EqualError(t, err, "boltlog: read: database not open")
}

// Two buckets of a file are two logs. New refuses a bucket with another content.
func TestTwoBucketsAreTwoLogs(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	one, two := newLog(t, db, boltlog.Config{Bucket: "one"}), newLog(t, db, boltlog.Config{Bucket: "two"})
	appendTo(t, one, 1)
	revs, position := readAll(t, one, "")
	assert.Equal(t, []string{"1"}, ids(revs))
	revs, _ = readAll(t, two, "")
	assert.Empty(t, revs)
	_, _, err := two.Read(t.Context(), position, 0)
	assert.ErrorIs(t, err, revlog.ErrTruncated)

	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		theirs, err := tx.CreateBucket([]byte("theirs"))
		if err != nil {
			return err
		}
		return theirs.Put([]byte("entries"), []byte("canary"))
	}))
	_, err = boltlog.New(db, boltlog.Config{Bucket: "theirs"})
	assert.EqualError(t, err, "boltlog: open: incompatible value")

	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("one")) }))
	assert.EqualError(t, one.Append(t.Context(), numbered(2)), "boltlog: append: the bucket is missing")
	_, _, err = one.Read(t.Context(), "", 0)
	assert.EqualError(t, err, "boltlog: read: the bucket is missing")
}

// Two Logs share a bucket: readers of one see the entries of the other within their wait, and a
// position is valid for both.
func TestTwoLogsShareABucket(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	one := newLog(t, db, boltlog.Config{})
	appendTo(t, one, 1)
	_, position := readAll(t, one, "")
	two := newLog(t, db, boltlog.Config{})
	list := openList(t, two, revlog.Config{Poll: 50 * time.Millisecond})
	appendTo(t, one, 2)
	awaitRevoked(t, list, 2)
	require.NoError(t, list.Revoke(t.Context(), numbered(3)))
	revs, _ := readAll(t, one, position)
	assert.Equal(t, []string{"2", "3"}, ids(revs))
}

// Another Log does not wake a reader, but the reader reads once more when its wait ends.
func TestAReadFindsEntriesOfAnotherLogWhenItsWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := openFile(t, fileIn(t))
		one, two := newLog(t, db, boltlog.Config{}), newLog(t, db, boltlog.Config{})
		_, position := readAll(t, one, "")
		got := make(chan string)
		go func() {
			revs, _, err := one.Read(t.Context(), position, time.Hour)
			got <- fmt.Sprint(ids(revs), err)
		}()
		synctest.Wait()
		start := time.Now()
		appendTo(t, two, 4)
		assert.Equal(t, "[4] <nil>", <-got)
		assert.Equal(t, time.Hour, time.Since(start))
	})
}

// A second process that opens the file waits for the first, as the package documentation
// describes.
func TestASecondOpenOfTheFileWaits(t *testing.T) {
	t.Parallel()
	path := fileIn(t)
	openFile(t, path)
	_, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 10 * time.Millisecond})
	assert.ErrorIs(t, err, bolterrors.ErrTimeout)
}

func TestLargeEntriesAreKept(t *testing.T) {
	t.Parallel()
	log := newLog(t, openFile(t, fileIn(t)), boltlog.Config{})
	var revs []oauthz.Revocation
	for i := range 8 {
		rev := numbered(i)
		rev.Reason = strings.Repeat("\x01", 60_000)
		revs = append(revs, rev)
	}
	require.NoError(t, log.Append(t.Context(), revs...))
	all, _ := readAll(t, log, "")
	assert.Equal(t, ids(revs), ids(all))

	assert.EqualError(t, log.Append(t.Context(), revs[0], oauthz.Revocation{}), "boltlog: append: entry 1: oauthz: revocation: match has no iss")
	revs[1].Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.ErrorContains(t, log.Append(t.Context(), revs[0], revs[1]), "boltlog: append: entry 1: oauthz: revocation: a time ")
}

// A transaction of the program blocks bolt, but blocks no Append beyond its context.
func TestABlockedAppendReturnsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	tx, err := db.Begin(true)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for i := range 3 {
		assert.ErrorIs(t, log.Append(ctx, numbered(i)), context.DeadlineExceeded)
	}
	later := make(chan error, 1)
	go func() { later <- log.Append(t.Context(), numbered(7)) }()
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-later)
	revs, _ := readAll(t, log, "")
	assert.Equal(t, []string{"7"}, ids(revs), "an Append that has returned an error is not written")
}

func TestACancelledReadIsAnError(t *testing.T) {
	t.Parallel()
	log := newLog(t, openFile(t, fileIn(t)), boltlog.Config{})
	appendTo(t, log, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		_, _, err := log.Read(ctx, "", 0)
		require.EqualError(t, err, "boltlog: read: context canceled")
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.ErrorIs(t, log.Append(ctx, numbered(2)), context.Canceled)
	assert.ErrorIs(t, log.Append(ctx), context.Canceled)
	revs, _ := readAll(t, log, "")
	assert.Equal(t, []string{"1"}, ids(revs))
}

// One Append ends the wait of every reader at once.
func TestAnAppendWakesEveryReader(t *testing.T) {
	t.Parallel()
	log := newLog(t, openFile(t, fileIn(t)), boltlog.Config{})
	_, position := readAll(t, log, "")
	const readers = 20
	got := make(chan string, readers)
	for range readers {
		go func() {
			revs, _, err := log.Read(t.Context(), position, time.Hour)
			got <- fmt.Sprint(ids(revs), err)
		}()
	}
	appendTo(t, log, 1)
	for range readers {
		assert.Equal(t, "[1] <nil>", <-got)
	}
}
