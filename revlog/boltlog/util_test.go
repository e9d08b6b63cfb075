package boltlog_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

const (
	bucketName = "oauthz_revocations"
	patience   = time.Minute // the limit, on a slow machine, for everything that should happen at once
)

// epoch is the current time in the tests that depend on the time.
var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func fileIn(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "revocations.db")
}

// openFile opens a file and closes it when the test ends.
func openFile(t testing.TB, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: patience})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func newLog(t testing.TB, db *bolt.DB, cfg boltlog.Config) *boltlog.Log {
	t.Helper()
	log, err := boltlog.New(db, cfg)
	require.NoError(t, err)
	return log
}

// numbered returns the i-th revocation, which never expires.
func numbered(i int) oauthz.Revocation {
	return oauthz.Revocation{Match: map[string]any{"iss": "i", "jti": fmt.Sprint(i)}}
}

func token(i int) *oauthz.Token { return &oauthz.Token{Issuer: "i", ID: fmt.Sprint(i)} }

func appendTo(t testing.TB, log revlog.Log, numbers ...int) {
	t.Helper()
	for _, i := range numbers {
		require.NoError(t, log.Append(t.Context(), numbered(i)))
	}
}

func ids(revs []oauthz.Revocation) []string {
	var out []string
	for _, rev := range revs {
		out = append(out, fmt.Sprint(rev.Match["jti"]))
	}
	return out
}

// readAll reads from a position until there are no more entries.
func readAll(t testing.TB, log revlog.Log, position string) (revs []oauthz.Revocation, next string) {
	t.Helper()
	for {
		some, next, err := log.Read(t.Context(), position, 0)
		require.NoError(t, err)
		if len(some) == 0 {
			return revs, next
		}
		revs, position = append(revs, some...), next
	}
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// tamper changes the entries of a file without the log.
func tamper(t testing.TB, db *bolt.DB, change func(entries *bolt.Bucket) error) {
	t.Helper()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return change(tx.Bucket([]byte(bucketName)).Bucket([]byte("entries")))
	}))
}

// countEntries returns the number of entries in the file.
func countEntries(t testing.TB, db *bolt.DB) (n int) {
	t.Helper()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		n = tx.Bucket([]byte(bucketName)).Bucket([]byte("entries")).Stats().KeyN
		return nil
	}))
	return n
}

// sealed returns a record as the log writes it: version, checksum of key and rest, expiry,
// JSON.
func sealed(n, expires uint64, doc string) []byte {
	rest := append(key(expires), doc...)
	record := binary.BigEndian.AppendUint32([]byte{1}, crc32.ChecksumIEEE(append(key(n), rest...)))
	return append(record, rest...)
}
