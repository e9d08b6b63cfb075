package boltlog_test

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// A position is valid after the file was closed and opened. It is not valid in another file,
// nor in an older copy, no matter how much was written to the copy since.
func TestAPositionOfAReplacedFileIsTruncated(t *testing.T) {
	t.Parallel()
	path, backup, other := fileIn(t), fileIn(t), fileIn(t)
	var early, late string
	using(t, path, func(log *boltlog.Log) { appendTo(t, log, 1, 2); _, early = readAll(t, log, "") })
	copyFile(t, path, backup)
	using(t, path, func(log *boltlog.Log) {
		revs, _ := readAll(t, log, early)
		assert.Empty(t, revs)
		appendTo(t, log, 3, 4)
		revs, late = readAll(t, log, early)
		assert.Equal(t, []string{"3", "4"}, ids(revs))
	})
	using(t, path, func(log *boltlog.Log) {
		revs, _ := readAll(t, log, late)
		assert.Empty(t, revs)
	})
	using(t, backup, func(log *boltlog.Log) {
		_, _, err := log.Read(t.Context(), late, 0)
		assert.ErrorIs(t, err, revlog.ErrTruncated, "an older copy")
		appendTo(t, log, 5, 6, 7, 8)
		_, _, err = log.Read(t.Context(), late, 0)
		assert.ErrorIs(t, err, revlog.ErrTruncated, "an older copy with more entries than the position")
		revs, _ := readAll(t, log, early) // the copy has this position
		assert.Equal(t, []string{"5", "6", "7", "8"}, ids(revs))
	})
	using(t, other, func(log *boltlog.Log) {
		appendTo(t, log, 1, 2, 3, 4, 5)
		_, _, err := log.Read(t.Context(), early, 0)
		assert.EqualError(t, err, "boltlog: read: the position does not belong to this file: revlog: the log is truncated after the position")
	})
}

// This is a copy that was taken while the file was open, so the copy has the opening of the
// position.
func TestAPositionBeyondAHotBackupIsTruncated(t *testing.T) {
	t.Parallel()
	path, backup := fileIn(t), fileIn(t)
	var early, late string
	db := openFile(t, path)
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1, 2)
	_, early = readAll(t, log, "")
	require.NoError(t, db.View(func(tx *bolt.Tx) error { return tx.CopyFile(backup, 0o600) }))
	appendTo(t, log, 3, 4)
	_, late = readAll(t, log, "")
	using(t, backup, func(log *boltlog.Log) {
		appendTo(t, log, 5, 6, 7, 8)
		_, _, err := log.Read(t.Context(), late, 0)
		assert.ErrorIs(t, err, revlog.ErrTruncated)
		revs, _ := readAll(t, log, early)
		assert.Equal(t, []string{"5", "6", "7", "8"}, ids(revs))
	})
}

// Only the sequence shows here that the position is not valid: the copy is written to in the
// same opening.
func TestAPositionBeyondTheSequenceIsTruncated(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	log := newLog(t, db, boltlog.Config{})
	appendTo(t, log, 1, 2)
	_, position := readAll(t, log, "")
	tamper(t, db, func(entries *bolt.Bucket) error {
		if err := entries.Delete(key(2)); err != nil {
			return err
		}
		return entries.SetSequence(1)
	})
	_, _, err := log.Read(t.Context(), position, 0)
	assert.ErrorIs(t, err, revlog.ErrTruncated)
}

// Positions of the newest thousand openings are valid, and the file does not grow with each
// opening.
func TestTheNewestThousandOpeningsAreKept(t *testing.T) {
	t.Parallel()
	db := openFile(t, fileIn(t))
	db.NoSync = true // faster, for openings that are only counted
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		top, err := tx.CreateBucketIfNotExists([]byte(bucketName))
		if err != nil {
			return err
		}
		openings, err := top.CreateBucketIfNotExists([]byte("openings"))
		for i := uint64(1); i <= 1000 && err == nil; i++ {
			err = openings.Put(key(i), make([]byte, 24))
		}
		return err
	}))
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketName)).Bucket([]byte("openings")).SetSequence(1000)
	}))
	db.NoSync = false
	_, position := readAll(t, newLog(t, db, boltlog.Config{}), "")
	log := newLog(t, db, boltlog.Config{})
	_, _, err := log.Read(t.Context(), position, 0)
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		assert.Equal(t, 1000, tx.Bucket([]byte(bucketName)).Bucket([]byte("openings")).Stats().KeyN)
		return nil
	}))
}

// using opens a file, as a process does, and closes it.
func using(t *testing.T, path string, f func(*boltlog.Log)) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: patience})
	require.NoError(t, err)
	f(newLog(t, db, boltlog.Config{}))
	require.NoError(t, db.Close())
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.Create(to)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}
