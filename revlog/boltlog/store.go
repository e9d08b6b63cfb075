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

// In the bucket of a log there are two:
//
//	entries   sequence number -> version, checksum, expiry, JSON of the revocation
//	openings  number -> random id, last sequence number at that time
//
// All numbers are big-endian, so that bolt has them in order. Each New adds an
// opening. A position names the one it was read in: so it is seen when the file
// was replaced by another, or by an older copy that was written to since.
var (
	entriesName  = []byte("entries")
	openingsName = []byte("openings")
)

const (
	keyBytes      = 8
	idBytes       = 16
	openingBytes  = idBytes + keyBytes
	positionBytes = keyBytes + idBytes + keyBytes
	keptOpenings  = 1000 // a position that is older than these begins again

	version     = 1
	headerBytes = 1 + 4 + 8
	never       = 0

	sweepAhead = 128 // entries that a transaction looks at, beside two for each that it adds
)

var (
	errNoBucket   = errors.New("the bucket is gone")
	errForeignKey = errors.New("the bucket has a key that is not of the log")
	errBehind     = errors.New("the bucket has entries beyond its sequence")
	errPosition   = fmt.Errorf("the position is not of this file: %w", revlog.ErrTruncated)
)

// store is the bucket of a log in a transaction.
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

// reopen makes what is missing, and adds an opening.
func reopen(tx *bolt.Tx, bucket []byte) error {
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

func numberOf(key []byte) (uint64, error) {
	if len(key) != keyBytes {
		return 0, errForeignKey
	}
	return binary.BigEndian.Uint64(key), nil
}

// add puts records at the end. The numbers are given in the transaction, and bolt
// has one that writes at a time: what becomes visible later has higher ones.
func (s store) add(records [][]byte) error {
	if last, _ := s.entries.Cursor().Last(); last != nil {
		switch n, err := numberOf(last); {
		case err != nil:
			return err
		case n > s.entries.Sequence(): // never write over what is there
			return errBehind
		}
	}
	for _, record := range records {
		n, err := s.entries.NextSequence()
		if err != nil {
			return err
		}
		key := keyOf(n)
		seal(key, record)
		if err := s.entries.Put(key, record); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes those of the n entries after a number that had expired at sure, and
// returns up to where it came; 0 at the end, to begin again. It looks at more than
// is added, so expired entries never pile up. sure is zero while there is none.
func (s store) sweep(after uint64, n int, sure time.Time) (uint64, error) {
	if sure.IsZero() {
		return after, nil
	}
	var over [][]byte // a cursor that deletes loses its place
	cursor := s.entries.Cursor()
	key, record := cursor.Seek(keyOf(after + 1))
	for ; n > 0 && key != nil; n-- {
		var err error
		if after, err = numberOf(key); err != nil {
			return 0, err
		}
		if isOver(key, record, sure) {
			over = append(over, bytes.Clone(key))
		}
		key, record = cursor.Next()
	}
	for _, key := range over {
		if err := s.entries.Delete(key); err != nil {
			return 0, err
		}
	}
	if key == nil {
		after = 0
	}
	return after, nil
}

// after returns the sequence number that a position stands for.
func (s store) after(position string) (uint64, error) {
	if position == "" {
		return 0, nil
	}
	raw, err := hex.DecodeString(position)
	if err != nil || len(raw) != positionBytes {
		return 0, errPosition
	}
	opening, id, n := raw[:keyBytes], raw[keyBytes:][:idBytes], binary.BigEndian.Uint64(raw[keyBytes+idBytes:])
	held := s.openings.Get(opening)
	if len(held) != openingBytes || !bytes.Equal(held[:idBytes], id) {
		return 0, errPosition
	}
	last := s.entries.Sequence()
	// An older copy has ended where it was next opened: what was read beyond that was of the file that it replaced.
	if next := s.openings.Get(keyOf(binary.BigEndian.Uint64(opening) + 1)); len(next) == openingBytes {
		last = binary.BigEndian.Uint64(next[idBytes:])
	}
	if n > last {
		return 0, errPosition
	}
	return n, nil
}

// position is that of a sequence number.
func (s store) position(n uint64) (string, error) {
	opening, held := s.openings.Cursor().Last()
	if len(opening) != keyBytes || len(held) != openingBytes {
		return "", errForeignKey
	}
	raw := bytes.Join([][]byte{opening, held[:idBytes], keyOf(n)}, nil)
	return hex.EncodeToString(raw), nil
}

// unsealed is a record but for its checksum, which is of its number too.
func unsealed(expires time.Time, doc []byte) []byte {
	ends := int64(never)
	if !expires.IsZero() {
		if ends = expires.Unix() + 1; ends == never { // a second too long is well
			ends++
		}
	}
	record := append(make([]byte, 0, headerBytes+len(doc)), version, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint64(record, uint64(ends)), doc...)
}

func seal(key, record []byte) { binary.BigEndian.PutUint32(record[1:], sum(key, record)) }

func sum(key, record []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, record[5:])
}

// intact says whether a record is as it was written. bolt does not: it has
// checksums of its meta pages only.
func intact(key, record []byte) bool {
	return len(record) >= headerBytes && record[0] == version && binary.BigEndian.Uint32(record[1:]) == sum(key, record)
}

// isOver says whether no token that a record matches can be alive. Of what cannot
// be read nobody knows, so it stays.
func isOver(key, record []byte, now time.Time) bool {
	if !intact(key, record) {
		return false
	}
	ends := int64(binary.BigEndian.Uint64(record[5:]))
	return ends != never && !now.Before(time.Unix(ends, 0).Add(oauthz.MaxLeeway))
}

// decode reads a record. An error does not say what is in it.
func decode(key, record []byte) (rev oauthz.Revocation, err error) {
	if !intact(key, record) {
		return rev, errors.New("it is damaged")
	}
	err = json.Unmarshal(record[headerBytes:], &rev)
	return rev, err
}
