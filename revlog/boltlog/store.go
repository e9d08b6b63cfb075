package boltlog

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// The bucket of a log has two buckets:
//
//	entries   sequence number -> version, checksum, expiry, JSON of the revocation
//	openings  number -> random id, last sequence number at that time
//
// All numbers are big-endian, so that bolt sorts them. Each New adds an opening. A position holds the
// opening in which it was read. With it the log detects that the file was replaced by another file,
// or by an older copy that was written to since.
var (
	entriesName  = []byte("entries")
	openingsName = []byte("openings")
)

const (
	keyBytes      = 8
	idBytes       = 16
	openingBytes  = idBytes + keyBytes
	positionBytes = keyBytes + idBytes + keyBytes
	keptOpenings  = 1000 // an older opening is deleted: a reader with a position from it begins again

	version     = 1
	headerBytes = 1 + 4 + 8
	never       = 0

	sweepAhead = 128 // entries that a transaction checks, in addition to two for each that it adds
)

var (
	errNoBucket   = errors.New("the bucket is missing")
	errForeignKey = errors.New("the bucket has a key that the log did not write")
	errBehind     = errors.New("the bucket has entries with numbers above its sequence")
	errPosition   = fmt.Errorf("the position does not belong to this file: %w", revlog.ErrTruncated)
)

// store is the bucket of a log in one transaction.
type store struct{ entries, openings *bolt.Bucket }

func storeIn(tx *bolt.Tx, bucket []byte) (s store, err error) {
	top := tx.Bucket(bucket)
	if top == nil {
		return s, errNoBucket
	}
	s = store{top.Bucket(entriesName), top.Bucket(openingsName)}
	if s.entries == nil || s.openings == nil {
		return s, errNoBucket
	}
	return s, nil
}

// addOpening creates the buckets that are missing, and adds an opening.
func addOpening(tx *bolt.Tx, bucket []byte) error {
	top, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{entriesName, openingsName} {
		if _, err := top.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	s, err := storeIn(tx, bucket)
	if err != nil {
		return err
	}
	n, err := s.openings.NextSequence()
	if err != nil {
		return err
	}
	if n > keptOpenings {
		if err := s.openings.Delete(keyOf(n - keptOpenings)); err != nil {
			return err
		}
	}
	id := make([]byte, idBytes)
	_, _ = rand.Read(id) // never fails
	return s.openings.Put(keyOf(n), append(id, keyOf(s.entries.Sequence())...))
}

func keyOf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func numberOfKey(key []byte) (uint64, error) {
	if len(key) != keyBytes {
		return 0, errForeignKey
	}
	return binary.BigEndian.Uint64(key), nil
}

// add appends records. bolt runs one write transaction at a time, and the numbers are given
// inside it: an entry that becomes visible later has a higher number.
func (s store) add(records [][]byte) error {
	if last, _ := s.entries.Cursor().Last(); last != nil {
		switch n, err := numberOfKey(last); {
		case err != nil:
			return err
		case n > s.entries.Sequence(): // never overwrite an entry
			return errBehind
		}
	}
	for _, record := range records {
		n, err := s.entries.NextSequence()
		if err != nil {
			return err
		}
		key := keyOf(n)
		setChecksum(key, record)
		if err := s.entries.Put(key, record); err != nil {
			return err
		}
	}
	return nil
}

// sweep checks the n entries after a number, deletes those that had expired at sure, and
// returns the number of the last one that it checked, or 0 at the end, to begin again. It
// checks more entries than are added, so expired entries never accumulate. It deletes nothing
// while sure is zero.
func (s store) sweep(after uint64, n int, sure time.Time) (uint64, error) {
	if sure.IsZero() {
		return after, nil
	}
	var expiredKeys [][]byte // deleted afterwards: a deletion would move the cursor
	cursor := s.entries.Cursor()
	key, record := cursor.Seek(keyOf(after + 1))
	for ; n > 0 && key != nil; n-- {
		var err error
		if after, err = numberOfKey(key); err != nil {
			return 0, err
		}
		if expired(key, record, sure) {
			expiredKeys = append(expiredKeys, bytes.Clone(key))
		}
		key, record = cursor.Next()
	}
	for _, key := range expiredKeys {
		if err := s.entries.Delete(key); err != nil {
			return 0, err
		}
	}
	if key == nil {
		after = 0
	}
	return after, nil
}

// numberOf returns the sequence number of a position.
func (s store) numberOf(position string) (uint64, error) {
	if position == "" {
		return 0, nil
	}
	raw, err := hex.DecodeString(position)
	if err != nil || len(raw) != positionBytes {
		return 0, errPosition
	}
	opening, id, n := raw[:keyBytes], raw[keyBytes:][:idBytes], binary.BigEndian.Uint64(raw[keyBytes+idBytes:])
	stored := s.openings.Get(opening)
	if len(stored) != openingBytes || !bytes.Equal(stored[:idBytes], id) {
		return 0, errPosition
	}
	last := s.entries.Sequence()
	// An older copy of the file ends where it was opened next. Entries beyond that were read from the file that the copy replaced.
	if next := s.openings.Get(keyOf(binary.BigEndian.Uint64(opening) + 1)); len(next) == openingBytes {
		last = binary.BigEndian.Uint64(next[idBytes:])
	}
	if n > last {
		return 0, errPosition
	}
	return n, nil
}

// positionOf returns the position of a sequence number.
func (s store) positionOf(n uint64) (string, error) {
	opening, stored := s.openings.Cursor().Last()
	if len(opening) != keyBytes || len(stored) != openingBytes {
		return "", errForeignKey
	}
	raw := bytes.Join([][]byte{opening, stored[:idBytes], keyOf(n)}, nil)
	return hex.EncodeToString(raw), nil
}

// encodeRecord returns a record without its checksum, which also covers the number of the
// entry.
func encodeRecord(expires time.Time, doc []byte) []byte {
	ends := int64(never)
	if !expires.IsZero() {
		if ends = expires.Unix() + 1; ends == never { // one second more does no harm
			ends++
		}
	}
	record := append(make([]byte, 0, headerBytes+len(doc)), version, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint64(record, uint64(ends)), doc...)
}

// setChecksum completes a record.
func setChecksum(key, record []byte) { binary.BigEndian.PutUint32(record[1:], checksum(key, record)) }

func checksum(key, record []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, record[5:])
}

// intact reports whether a record is as it was written. bolt does not check this: only its meta
// pages have checksums.
func intact(key, record []byte) bool {
	return len(record) >= headerBytes && record[0] == version && binary.BigEndian.Uint32(record[1:]) == checksum(key, record)
}

// expired reports whether a record can match no valid token any more. It returns false for a
// damaged record, whose expiry is unknown, so that the record is kept.
func expired(key, record []byte, now time.Time) bool {
	if !intact(key, record) {
		return false
	}
	ends := int64(binary.BigEndian.Uint64(record[5:]))
	return ends != never && !now.Before(time.Unix(ends, 0).Add(oauthz.MaxLeeway))
}

// decode reads a record. Its errors hold no content of the record.
func decode(key, record []byte) (rev oauthz.Revocation, err error) {
	if !intact(key, record) {
		return rev, errors.New("the record is damaged")
	}
	err = json.Unmarshal(record[headerBytes:], &rev)
	return rev, err
}
